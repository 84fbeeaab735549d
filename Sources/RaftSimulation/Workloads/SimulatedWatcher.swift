import MVCC
import RaftCore
import Replica

/// One watcher of a client, on whichever member it is, and what it has been told.
final class SimulatedWatcher {
    let request: WatchRequest
    /// From where it goes on; zero: not created yet, and to begin with what happens then.
    private(set) var next: Int64
    /// The first revision that it is to hear of.
    private(set) var start: Int64?
    private(set) var events: [SimulatedEvent] = []
    /// What it was told that it can hear no more: compacted before it came.
    private(set) var holes: [Range<Int64>] = []
    /// Revisions up to which it was told that it had everything, and how many events it then had.
    private(set) var promises: [(revision: Int64, events: Int)] = []
    /// What it could tell at once was wrong.
    private(set) var complaint: String?
    /// The first fragments of a revision.
    private var fragments: [SimulatedEvent] = []
    var record: (UInt64) -> Void = { _ in }

    init(_ request: WatchRequest) {
        self.request = request
        next = request.start.rawValue
    }

    func created(at revision: Int64) {
        fragments = []
        if next == 0 { next = revision + 1 }
        if start == nil { start = next }
    }

    func heard(_ new: [SimulatedEvent], at revision: Int64, isFragment: Bool) {
        if isFragment, !request.allowsFragments { complain("was given a fragment that it has not asked for") }
        if new.isEmpty { complain("was given a response without events at revision \(revision)") }
        fragments += new
        guard !isFragment else { return }
        for event in fragments { record(UInt64(event.revision)) }
        events += fragments
        if let last = fragments.last {
            next = max(next, last.revision + 1)
            if last.revision > revision {
                complain("was given revision \(last.revision) under a header of \(revision)")
            }
        }
        fragments = []
        promises.append((revision, events.count))
    }

    /// Whoever comes back goes on after it: so it must not be ahead of the events.
    func heardOfProgress(_ revision: Int64) {
        promises.append((revision, events.count))
        next = max(next, revision + 1)
    }

    func heardOfCompaction(_ revision: Int64) {
        if next >= revision {
            complain("from revision \(next) on was ended by a compaction at \(revision), which keeps that")
        } else {
            holes.append(next..<revision)
        }
        next = max(next, revision)
    }

    func complain(_ text: String) { if complaint == nil { complaint = "a watcher " + text } }
}

/// A change as a watcher saw it.
struct SimulatedEvent {
    var kind: Change.Kind
    var keyValue: KeyValue
    var previous: KeyValue?
    /// How far the member that told it had compacted by then.
    var compacted: Int64 = -1
    var revision: Int64 { keyValue.modRevision.rawValue }
}

/// A client's stream on one member's process, with all of its watchers.
final class SimulatedStream: WatchOutlet {
    let member: NodeID
    let incarnation: UInt64
    private let encoder: SimulatedEventEncoder
    /// The member's newest compact revision.
    private let compactRevision: () -> Int64
    var stream: WatchStream?
    var isEnded = false
    /// By the id that the member gave them.
    private(set) var watchers: [Int64: SimulatedWatcher] = [:]
    /// The one that is being created: the member tells its id before anything else.
    private var newcomer: SimulatedWatcher?
    /// For a slow reader: sees to it that ``drain()`` is called some time.
    var drainLater: (() -> Void)?
    private(set) var pendingBytes = 0
    private var drained: (mark: Int, body: () -> Void)?

    init(
        _ member: NodeID, _ incarnation: UInt64, _ encoder: SimulatedEventEncoder,
        compactRevision: @escaping () -> Int64
    ) {
        self.member = member
        self.incarnation = incarnation
        self.encoder = encoder
        self.compactRevision = compactRevision
    }

    func id(of watcher: SimulatedWatcher) -> Int64? { watchers.first { $0.value === watcher }?.key }

    func create(_ watcher: SimulatedWatcher, in loop: WatchLoop) {
        guard let stream else { return }
        newcomer = watcher
        var request = watcher.request
        request.start = Revision(watcher.next)
        loop.create(request, on: stream)
        if newcomer != nil, !isEnded { watcher.complain("was not created") }
        newcomer = nil
    }

    func whenPendingBytes(atMost bytes: Int, _ body: @escaping () -> Void) { drained = (bytes, body) }

    func drain() {
        pendingBytes = 0
        guard let drained, !isEnded else { return }
        self.drained = nil
        drained.body()
    }

    func send(_ notice: WatchNotice, at revision: Revision) {
        guard !isEnded else { return }
        switch notice {
        case .created(let id):
            watchers[id] = newcomer
            newcomer?.created(at: revision.rawValue)
            newcomer = nil
        case .progress(let id): watchers[id]?.heardOfProgress(revision.rawValue)
        case .progressOfAll:
            for watcher in watchers.values { watcher.heardOfProgress(revision.rawValue) }
        case .compacted(let id, let compactRevision):
            watchers.removeValue(forKey: id)?.heardOfCompaction(compactRevision.rawValue)
        case .cancelled(let id): watchers[id] = nil
        case .refused: break
        }
    }

    func send(_ events: WatchEventBytes, to id: Int64, at revision: Revision, isFragment: Bool) {
        guard !isEnded else { return }
        if let drainLater {
            pendingBytes += events.byteCount
            drainLater()
        }
        var decoded = encoder.decode(events)
        let compacted = compactRevision()
        for place in decoded.indices { decoded[place].compacted = compacted }
        guard let watcher = watchers[id] else {
            newcomer?.complain("was given events before it was created")
            return
        }
        watcher.heard(decoded, at: revision.rawValue, isFragment: isFragment)
    }
}

/// Events go as numbers of what is kept here.
final class SimulatedEventEncoder: WatchEventEncoder {
    private var events: [SimulatedEvent] = []
    private static let bytes = 4

    func append(
        _ kind: Change.Kind, _ keyValue: BorrowedKeyValue, previous: BorrowedKeyValue?, to bytes: inout [UInt8]
    ) {
        let number = UInt32(events.count)
        events.append(
            SimulatedEvent(kind: kind, keyValue: KeyValue(keyValue), previous: previous.map { KeyValue($0) }))
        for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: number >> shift)) }
    }

    func decode(_ response: WatchEventBytes) -> [SimulatedEvent] {
        response.pieces.flatMap { piece in
            stride(from: piece.lowerBound, to: piece.upperBound, by: Self.bytes).map { place in
                let number = (0..<Self.bytes).reduce(0) { $0 | Int(response.arena[place + $1]) << (8 * $1) }
                return events[number]
            }
        }
    }
}
