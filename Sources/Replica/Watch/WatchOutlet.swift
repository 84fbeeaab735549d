package import MVCC

/// The events of one response, as the encoder wrote them: valid during the call that hands them over.
package struct WatchEventBytes {
    /// All events that were encoded in this turn.
    package let arena: UnsafeRawBufferPointer
    /// Which of them are this response's, in their order. Neighbours are one piece.
    package let pieces: [Range<Int>]
    package let byteCount: Int
    /// How many events they are.
    package let eventCount: Int
    /// Of which turn the arena is, so that a large piece that goes to many can be copied once. The two forms of an
    /// event, with the pair before and without, are in arenas of different numbers.
    package let arenaNumber: UInt64
}

/// What a watcher is told beside events.
package enum WatchNotice: Hashable, Sendable {
    case created(id: Int64)
    /// Not created.
    case refused(WatchRefusal)
    case cancelled(id: Int64)
    /// What the watcher would get next has been compacted (A4).
    case compacted(id: Int64, compactRevision: Revision)
    case progress(id: Int64)
    /// Of all watchers of the stream (A9).
    case progressOfAll
}

/// Why a watcher was not created (E4).
package enum WatchRefusal: Hashable, Sendable {
    case negativeStart
    case emptyRange
    case duplicateID
    case tooMany
}

/// Where the responses of one stream go. Used on the watch loop's thread only.
package protocol WatchOutlet: AnyObject {
    /// Bytes that were handed over and that the reader has not taken.
    var pendingBytes: Int { get }
    /// Calls back once no more than `bytes` wait; perhaps at once. Asked for once at a time.
    func whenPendingBytes(atMost bytes: Int, _ body: @escaping () -> Void)
    func send(_ notice: WatchNotice, at revision: Revision)
    /// - Parameter revision: up to which the watcher has now been given everything; for a fragment, the revision that
    ///   it is a part of.
    func send(_ events: WatchEventBytes, to id: Int64, at revision: Revision, isFragment: Bool)
}

/// Turns events into what goes out: once for all watchers of a loop that see them.
package protocol WatchEventEncoder {
    func append(
        _ kind: Change.Kind, _ keyValue: BorrowedKeyValue, previous: BorrowedKeyValue?, to bytes: inout [UInt8])
}
