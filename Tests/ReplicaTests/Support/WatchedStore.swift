import ByteCodec
import MVCC
import StorageEngine
import Synchronization
import Testing

@testable import Replica

/// An event as a client sees it.
struct SeenEvent: Hashable {
    var kind: Change.Kind
    var keyValue: KeyValue
    var previous: KeyValue?

    var revision: Int64 { keyValue.modRevision.rawValue }
}

/// A state with its feed, played step by step, and beside it, kept naively, all that ever happened.
final class WatchedStore {
    let engine = MemoryEngine()
    private var state: State
    let feed = WatchFeed()
    private var told: Revision
    private(set) var view: ReadView
    private var frozen: FrozenLayer?

    /// Every event, each with what was before.
    private(set) var history: [SeenEvent] = []
    private var pairs: [[UInt8]: KeyValue] = [:]

    init() throws {
        state = try State(store: LayeredStore(engine: engine))
        told = state.revision
        view = try state.view
    }

    var revision: Int64 { state.revision.rawValue }
    var compactRevision: Int64 { state.compactRevision.rawValue }

    private func apply(_ command: Command) throws -> Outcome {
        try state.apply(command, at: LogPosition(index: state.applied.index + 1, term: 1))
    }

    func put(_ key: [UInt8], _ value: String) throws {
        _ = try apply(.put(PutOperation(key: key, value: Array(value.utf8))))
        notePut(key, value)
    }

    func put(_ key: String, _ value: String = "") throws { try put(Array(key.utf8), value) }

    func delete(_ range: KeyRange) throws {
        _ = try apply(.delete(DeleteOperation(range)))
        noteDelete(range)
    }

    /// Puts of different keys and deletes of others, in one revision.
    func change(puts: [[UInt8]], deletes: [KeyRange], _ value: String) throws {
        let operations =
            puts.map { Operation.put(PutOperation(key: $0, value: Array(value.utf8))) }
            + deletes.map { Operation.delete(DeleteOperation($0)) }
        let before = revision
        _ = try apply(.transaction(Transaction(success: operations)))
        guard revision > before else { return }
        for key in puts { notePut(key, value) }
        for range in deletes { noteDelete(range) }
    }

    private func notePut(_ key: [UInt8], _ value: String) {
        let previous = pairs[key]
        let pair = KeyValue(
            key: key, createRevision: previous?.createRevision ?? state.revision, modRevision: state.revision,
            version: (previous?.version ?? 0) + 1, value: Array(value.utf8), lease: .none)
        pairs[key] = pair
        history.append(SeenEvent(kind: .put, keyValue: pair, previous: previous))
    }

    private func noteDelete(_ range: KeyRange) {
        for key in pairs.keys.filter({ range.contains($0) }).sorted(by: precedes) {
            history.append(
                SeenEvent(
                    kind: .delete,
                    keyValue: KeyValue(
                        key: key, createRevision: Revision(0), modRevision: state.revision, version: 0, value: [],
                        lease: .none), previous: pairs[key]))
            pairs[key] = nil
        }
    }

    func compact(at revision: Int64) throws {
        _ = try apply(.compact(Compaction(revision: Revision(revision))))
    }

    func removeCompacted(maxRows: Int = 5) throws { _ = try state.compactStep(maxRows: maxRows) }

    /// As the apply stage does it.
    func publish() throws {
        view = try state.view
        feed.publish(&state, view, after: &told)
    }

    /// As if a snapshot had been installed: what happened since the last publication was not recorded.
    func loseRecord() {
        _ = state.takeChanges()
        state.recordsChanges = false
    }

    func flushStep() throws {
        if let frozen {
            try frozen.commit(to: engine)
            try state.retire()
            self.frozen = nil
        } else {
            frozen = try state.freeze()
        }
    }

    /// What a watcher must see, from a revision on.
    func events(_ request: WatchRequest, from start: Int64, through end: Int64 = .max) -> [SeenEvent] {
        history.filter { event in
            guard (start...max(start, end)).contains(event.revision), event.revision <= end else { return false }
            guard request.range.contains(event.keyValue.key) else { return false }
            return event.kind == .put ? !request.ignoresPuts : !request.ignoresDeletes
        }.map { event in
            guard !request.wantsPrevious else { return event }
            var event = event
            event.previous = nil
            return event
        }
    }
}

/// A watch loop that takes its turns when it is told to.
final class HandDrivenLoop {
    let store: WatchedStore
    let loop: WatchLoop
    private let asked: AskedTurns

    final class AskedTurns: Sendable {
        let count = Atomic<Int>(0)
    }

    init(_ store: WatchedStore, limits: WatchLimits = WatchLimits()) {
        let asked = AskedTurns()
        self.asked = asked
        self.store = store
        loop = WatchLoop(
            feed: store.feed, limits: limits, newestView: { store.view }, encoder: PlainEncoder(),
            schedule: { asked.count.add(1, ordering: .relaxed) },
            failed: { Issue.record("the store cannot be read: \($0)") })
    }

    /// One turn, if one was asked for.
    @discardableResult
    func turn() -> Bool {
        guard asked.count.exchange(0, ordering: .relaxed) > 0 else { return false }
        loop.takeTurn()
        return true
    }

    /// Until nothing is left to do; how many turns it took.
    @discardableResult
    func settle() -> Int {
        var turns = 0
        while turn() {
            turns += 1
            precondition(turns < 1_000_000, "a loop that does not come to rest")
        }
        return turns
    }
}

/// A form of events that is as simple as can be.
struct PlainEncoder: WatchEventEncoder {
    func append(
        _ kind: Change.Kind, _ keyValue: BorrowedKeyValue, previous: BorrowedKeyValue?, to bytes: inout [UInt8]
    ) {
        var writer = ByteWriter(reservingCapacity: 64)
        writer.write(kind.rawValue)
        write(keyValue, &writer)
        writer.write(UInt8(previous == nil ? 0 : 1))
        if let previous { write(previous, &writer) }
        let event = writer.finish()
        bytes += event
    }

    private func write(_ pair: BorrowedKeyValue, _ writer: inout ByteWriter) {
        writer.writeLengthPrefixed(Array(pair.key))
        writer.writeLengthPrefixed(Array(pair.value))
        for number in [pair.createRevision.rawValue, pair.modRevision.rawValue, pair.version, pair.lease.rawValue] {
            writer.write(UInt64(bitPattern: number))
        }
    }

    static func decode(_ events: WatchEventBytes) throws -> [SeenEvent] {
        var seen: [SeenEvent] = []
        for piece in events.pieces {
            var reader = ByteReader(UnsafeRawBufferPointer(rebasing: events.arena[piece]))
            while reader.remaining > 0 {
                guard let kind = Change.Kind(rawValue: try reader.readByte()) else { throw DecodingError.invalid("") }
                let pair = try pair(&reader)
                let previous = try reader.readByte() == 1 ? try self.pair(&reader) : nil
                seen.append(SeenEvent(kind: kind, keyValue: pair, previous: previous))
            }
        }
        return seen
    }

    private static func pair(_ reader: inout ByteReader) throws -> KeyValue {
        let key = Array(try reader.readLengthPrefixed())
        let value = Array(try reader.readLengthPrefixed())
        let numbers = try (0..<4).map { _ in Int64(bitPattern: try reader.readUInt64()) }
        return KeyValue(
            key: key, createRevision: Revision(numbers[0]), modRevision: Revision(numbers[1]), version: numbers[2],
            value: value, lease: LeaseID(numbers[3]))
    }
}

/// What a client that is on the other end of a stream has seen.
final class Reader: WatchOutlet {
    enum Seen: Equatable {
        case notice(WatchNotice, Int64)
        case events([SeenEvent], id: Int64, revision: Int64, isFragment: Bool)
    }
    private(set) var seen: [Seen] = []
    private(set) var pendingBytes = 0
    /// Whether it takes what is sent at once.
    var isFast = true
    private var drain: (mark: Int, body: () -> Void)?

    func whenPendingBytes(atMost bytes: Int, _ body: @escaping () -> Void) {
        #expect(drain == nil, "asked twice")
        drain = (bytes, body)
    }

    func send(_ notice: WatchNotice, at revision: Revision) { seen.append(.notice(notice, revision.rawValue)) }

    func send(_ events: WatchEventBytes, to id: Int64, at revision: Revision, isFragment: Bool) {
        do {
            let list = try PlainEncoder.decode(events)
            #expect(list.count == events.eventCount)
            #expect(events.byteCount == events.pieces.reduce(0) { $0 + $1.count })
            seen.append(.events(list, id: id, revision: revision.rawValue, isFragment: isFragment))
        } catch {
            Issue.record("an event cannot be read: \(error)")
        }
        if !isFast { pendingBytes += events.byteCount }
    }

    /// Takes so many bytes of those that wait.
    func take(_ bytes: Int = .max) {
        pendingBytes -= min(bytes, pendingBytes)
        if let drain, pendingBytes <= drain.mark {
            self.drain = nil
            drain.body()
        }
    }

    var notices: [WatchNotice] {
        seen.compactMap { if case .notice(let notice, _) = $0 { notice } else { nil } }
    }

    func events(of id: Int64) -> [SeenEvent] {
        seen.flatMap { if case .events(let events, id, _, _) = $0 { events } else { [] as [SeenEvent] } }
    }

    func keys(of id: Int64) -> [String] { events(of: id).map { String(decoding: $0.keyValue.key, as: UTF8.self) } }

    func clear() { seen = [] }
}
