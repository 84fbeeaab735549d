import EtcdAPI
import MVCC
import NIOCore
import Replica

/// Who reads events, and how far behind he is with it.
protocol EventReader: AnyObject {
    var pendingBytes: Int { get }
    func whenPendingBytes(atMost bytes: Int, _ body: @escaping () -> Void)
}

/// One watch of the HTTP API, among all others of its event loop. On that event loop.
final class KeyEventFeed: WatchOutlet {
    enum Happening {
        /// Events of whole revisions, in their order.
        case events([WireEvent<[UInt8]>])
        /// There was nothing else up to here.
        case progress(Revision)
        /// What would come next can be read no more.
        case compacted(Revision)
        /// The watch could not be made, or was ended.
        case refused
    }

    private unowned let reader: any EventReader
    private let watches: LoopWatches
    /// Events of reserved keys are told only to who asks for those.
    private let hidesReserved: Bool
    private var stream: WatchStream?
    private var handler: ((Happening) -> Void)?

    /// - Parameter handler: called on the event loop, never from within another call of this object.
    init(
        _ request: WatchRequest, hidesReserved: Bool, for reader: any EventReader, _ watches: LoopWatches,
        _ handler: @escaping (Happening) -> Void
    ) {
        self.reader = reader
        self.watches = watches
        self.hidesReserved = hidesReserved
        self.handler = handler
        let stream = watches.loop.open(self)
        self.stream = stream
        watches.loop.create(request, on: stream)
    }

    /// Nothing is heard after this. To be called once the watch is not needed any more: it keeps itself alive.
    func stop() {
        guard let stream else { return }
        self.stream = nil
        handler = nil
        watches.loop.close(stream)
    }

    /// Has ``Happening/progress(_:)`` told, once everything before it has been.
    func requestProgress() {
        if let stream { watches.loop.requestProgress(stream) }
    }

    /// In a task of its own: the watch loop is in the middle of a turn.
    private func tell(_ happening: Happening) {
        watches.eventLoop.assumeIsolated().execute { [self] in handler?(happening) }
    }

    // MARK: From the watch loop

    var pendingBytes: Int { stream == nil ? 0 : reader.pendingBytes }

    func whenPendingBytes(atMost bytes: Int, _ body: @escaping () -> Void) {
        if stream != nil { reader.whenPendingBytes(atMost: bytes, body) }
    }

    func send(_ notice: WatchNotice, at revision: Revision) {
        switch notice {
        case .created: break
        case .progress, .progressOfAll: tell(.progress(revision))
        case .compacted(_, let compactRevision): tell(.compacted(compactRevision))
        case .refused, .cancelled: tell(.refused)
        }
    }

    func send(_ events: WatchEventBytes, to id: Int64, at revision: Revision, isFragment: Bool) {
        var events = events.decoded
        if hidesReserved { events.removeAll { ReservedKeys.holds($0.kv?.key ?? []) } }
        if !events.isEmpty { tell(.events(events)) }
    }
}
