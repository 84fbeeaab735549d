import HTTP2
import MVCC
import NIOCore
import Raft
import Replica
import Synchronization

/// One event loop's open requests. Those that arrive in one round of the loop go to the replica together, and those
/// that are answered together are written and flushed together: each stage hands over batches, not requests.
final class LoopRequests: @unchecked Sendable {  // used on its event loop only, but for the sinks
    let eventLoop: any EventLoop
    private let node: RaftNode<KeyValueMachine>
    private let failures: RequestFailures
    private let timeouts: TimeoutCauses
    private var proposals: [CommandProposal<KeyValueMachine>] = []
    private var readers: [Reader] = []
    private var isScheduled = false
    private var waitingResults = Slots<WaitingResult>()
    private var waitingReads = Slots<WaitingReads>()
    private let times: RequestTimes
    /// When this round's first request was handed in: one look at the clock serves the round.
    private var roundBegan: UInt64 = 0
    private var resultSink: ResultSink!
    private var viewSink: ViewSink!
    private(set) var renewals: LeaseRenewals!

    /// What ranges came to lately: an answer that is given its memory at once is not copied while it grows.
    private(set) var rangeBytesExpected = 512
    private static let rangeBytesExpectedMax = 1 << 20

    func noteRange(bytes: Int) {
        rangeBytesExpected = max(512, min(max(bytes + 64, rangeBytesExpected / 2), Self.rangeBytesExpectedMax))
    }

    typealias ResultHandler = (Swift.Result<ReplicaResult, RequestFailure>) -> Void
    typealias Reader = (Swift.Result<ReplicaView, RequestFailure>) -> Void

    private struct WaitingResult {
        var handler: ResultHandler
        /// Zero: its time is not counted.
        var since: UInt64
    }

    private struct WaitingReads {
        var readers: [Reader]
        var since: UInt64
    }

    init(
        eventLoop: any EventLoop, node: RaftNode<KeyValueMachine>, leaseClock: LeaseClock, failures: RequestFailures,
        timeouts: TimeoutCauses, times: RequestTimes
    ) {
        self.eventLoop = eventLoop
        self.node = node
        self.failures = failures
        self.timeouts = timeouts
        self.times = times
        resultSink = ResultSink(self)
        viewSink = ViewSink(self)
        renewals = LeaseRenewals(requests: self, node: node, clock: leaseClock)
    }

    /// Room that a command's encoder leaves at the front of its payload.
    static let commandPrefixBytes = ProposalID.encodedBytes + 1

    /// Proposes a command that was encoded behind ``commandPrefixBytes`` free bytes.
    func propose(_ payload: [UInt8], in room: CommandRoom = .keyValue, _ handler: @escaping ResultHandler) {
        var payload = payload
        payload[ProposalID.encodedBytes] = room.rawValue
        schedule()
        let since = room == .keyValue ? roundBegan : 0
        let token = waitingResults.insert(WaitingResult(handler: handler, since: since))
        proposals.append(CommandProposal(payload: payload, ticket: Ticket(sink: resultSink, token: token)))
    }

    /// Calls the reader with a view that includes everything acknowledged before now.
    func read(_ reader: @escaping Reader) {
        readers.append(reader)
        schedule()
    }

    /// What is handed in during this round of the event loop leaves at its end.
    func schedule() {
        guard !isScheduled else { return }
        isScheduled = true
        roundBegan = NIODeadline.now().uptimeNanoseconds
        eventLoop.execute { [self] in
            renewals.leave()
            isScheduled = false
            if !proposals.isEmpty {
                let batch = proposals
                proposals = []
                proposals.reserveCapacity(batch.count)
                if batch.count == 1, waitingResults.count == 1, waitingReads.count == 0 {
                    node.proposeAlone(batch[0])
                } else {
                    node.propose(batch)
                }
            }
            if !readers.isEmpty {
                let token = waitingReads.insert(WaitingReads(readers: readers, since: roundBegan))
                readers = []
                node.read(Ticket(sink: viewSink, token: token))
            }
        }
    }

    /// What was proposed may still take effect.
    func refuseWaiting() {
        let flushes = FlushCoordinator.on(eventLoop)
        flushes.beginBatch()
        for waiting in waitingResults.removeAll() { waiting.handler(.failure(.stopped)) }
        for waiting in waitingReads.removeAll() { for reader in waiting.readers { reader(.failure(.stopped)) } }
        flushes.endBatch()
    }

    fileprivate func completeResults(_ replies: [Reply<ReplicaResult>]) {
        let flushes = FlushCoordinator.on(eventLoop)
        flushes.beginBatch()
        let now = NIODeadline.now().uptimeNanoseconds
        // Most of a batch was handed in during one round.
        var (since, count) = (UInt64(0), 0)
        for reply in replies {
            guard let waiting = waitingResults.remove(reply.token) else { continue }
            if waiting.since != since {
                times.writes.record(now, since: since, count: count)
                (since, count) = (waiting.since, 0)
            }
            count += 1
            guard case .failure(let failure) = reply.answer else {
                waiting.handler(reply.answer)
                continue
            }
            failures.proposals.add(1, ordering: .relaxed)
            waiting.handler(.failure(timeouts.told(failure, by: node)))
        }
        times.writes.record(now, since: since, count: count)
        flushes.endBatch()
    }

    fileprivate func completeReads(_ replies: [Reply<ReplicaView>]) {
        let flushes = FlushCoordinator.on(eventLoop)
        flushes.beginBatch()
        for reply in replies {
            if case .failure = reply.answer { failures.reads.add(1, ordering: .relaxed) }
            guard let waiting = waitingReads.remove(reply.token) else { continue }
            for reader in waiting.readers { reader(reply.answer) }
            times.reads.record(
                NIODeadline.now().uptimeNanoseconds, since: waiting.since, count: waiting.readers.count)
        }
        flushes.endBatch()
    }
}

private final class ResultSink: ReplySink {
    private let requests: LoopRequests
    init(_ requests: LoopRequests) { self.requests = requests }

    func deliver(_ replies: [Reply<ReplicaResult>]) {
        requests.eventLoop.execute { [requests] in requests.completeResults(replies) }
    }
}

private final class ViewSink: ReplySink {
    private let requests: LoopRequests
    init(_ requests: LoopRequests) { self.requests = requests }

    func deliver(_ replies: [Reply<ReplicaView>]) {
        requests.eventLoop.execute { [requests] in requests.completeReads(replies) }
    }
}

/// Values under numbers that are given out again when they are free. A number carries a generation, so that a late
/// answer to a former owner finds nothing.
struct Slots<Value> {
    private struct Slot {
        var generation: UInt32 = 0
        var value: Value?
    }
    private var slots: [Slot] = []
    private var free: [UInt32] = []

    var count: Int { slots.count - free.count }

    mutating func insert(_ value: Value) -> UInt64 {
        let place: UInt32
        if let reused = free.popLast() {
            place = reused
        } else {
            place = UInt32(slots.count)
            slots.append(Slot())
        }
        slots[Int(place)].generation &+= 1
        slots[Int(place)].value = value
        return UInt64(slots[Int(place)].generation) << 32 | UInt64(place)
    }

    mutating func remove(_ token: UInt64) -> Value? {
        let place = Int(token & 0xffff_ffff)
        guard place < slots.count, slots[place].generation == UInt32(token >> 32) else { return nil }
        guard let value = slots[place].value else { return nil }
        slots[place].value = nil
        free.append(UInt32(place))
        return value
    }

    mutating func removeAll() -> [Value] {
        slots.indices.compactMap { place in remove(UInt64(slots[place].generation) << 32 | UInt64(place)) }
    }
}
