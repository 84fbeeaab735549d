import MVCC
import NIOCore
import Raft
import Replica

/// One event loop's renewals of leases. Those of one round of the loop become one command in the log, or, where they
/// would hardly change anything, one read index (decision 0014).
///
/// A command costs the way through all of the member's threads and its disk, whether it renews one lease or thousands,
/// and no client waits for a renewal: so where they come all the time, commands leave at intervals. One after a pause
/// leaves at once.
final class LeaseRenewals {
    private static let commandInterval = TimeAmount.milliseconds(5)

    /// What a renewal came to. A TTL of zero: there is no such lease.
    struct Renewal {
        var ttl: Int64
        var revision: Revision
    }

    typealias Handler = (Swift.Result<Renewal, RequestFailure>) -> Void

    private struct Request {
        var id: LeaseID
        var handler: Handler
    }

    private unowned let requests: LoopRequests
    private let node: RaftNode<KeyValueMachine>
    private let clock: LeaseClock
    private var arrived: [Request] = []
    /// What goes into the next command, and when that may leave.
    private var gathered: [Request] = []
    private var commandTime = NIODeadline.uptimeNanoseconds(0)
    private var isCommandDue = false

    init(requests: LoopRequests, node: RaftNode<KeyValueMachine>, clock: LeaseClock) {
        self.requests = requests
        self.node = node
        self.clock = clock
    }

    func renew(_ id: LeaseID, _ handler: @escaping Handler) {
        arrived.append(Request(id: id, handler: handler))
        requests.schedule()
    }

    /// Hands on what has arrived in this round of the loop.
    func leave() {
        guard !arrived.isEmpty else { return }
        let batch = arrived
        arrived = []
        arrived.reserveCapacity(batch.count)
        var logged: [Request] = []
        var short: [Request] = []
        let store = node.published.view.store
        let time = leaderTime
        for request in batch {
            if mayBeShort(request.id, in: store, time) { short.append(request) } else { logged.append(request) }
        }
        log(logged)
        guard !short.isEmpty else { return }
        requests.read { [self] result in
            switch result {
            case .success(let view): answer(short, in: view.store)
            case .failure(let failure): for request in short { request.handler(.failure(failure)) }
            }
        }
    }

    /// The clock that counts, on the leader alone: what others know of it may be behind, and they would promise a time
    /// that the leader has counted already.
    private var leaderTime: LeaseTime? {
        let status = node.published.status
        return status.role == .leader ? clock.time(leading: status.term) : nil
    }

    private func lease(_ id: LeaseID, in store: ReadView) -> Lease? {
        do throws(StateError) {
            return try store.lease(id)
        } catch {
            node.fail(NodeFailure(part: .engine, reason: "\(error)"))
            return nil
        }
    }

    /// Worth a read index: nothing need be logged, if what is known here is still so.
    private func mayBeShort(_ id: LeaseID, in store: ReadView, _ time: LeaseTime?) -> Bool {
        guard let lease = lease(id, in: store) else { return true }
        guard let time else { return false }
        return LeaseSlack.covers(renewing: lease, at: time)
    }

    /// - Parameter store: holds everything that was acknowledged before the renewals came. On a leader it also holds
    ///   whatever earlier leaders proposed; its own lessor proposes no end of a lease that the slack covers
    ///   still.
    private func answer(_ short: [Request], in store: ReadView) {
        var logged: [Request] = []
        let time = leaderTime
        for request in short {
            guard let lease = lease(request.id, in: store) else {
                request.handler(.success(Renewal(ttl: 0, revision: store.revision)))
                continue
            }
            if let time, LeaseSlack.covers(renewing: lease, at: time) {
                request.handler(.success(Renewal(ttl: lease.ttl, revision: store.revision)))
            } else {
                logged.append(request)
            }
        }
        log(logged)
    }

    private func log(_ batch: [Request]) {
        guard !batch.isEmpty else { return }
        gathered += batch
        guard !isCommandDue else { return }
        if requests.eventLoop.now >= commandTime { return propose() }
        isCommandDue = true
        requests.eventLoop.scheduleTask(deadline: commandTime) { [requests] in requests.renewals.propose() }
    }

    private func propose() {
        isCommandDue = false
        let batch = gathered
        gathered = []
        commandTime = requests.eventLoop.now + Self.commandInterval
        for start in stride(from: 0, to: batch.count, by: LeaseCommandCodec.leasesMax) {
            let part = batch[start..<min(start + LeaseCommandCodec.leasesMax, batch.count)]
            let payload = LeaseCommandCodec.encode(
                .renew(part.map(\.id)), prefixBytes: LoopRequests.commandPrefixBytes)
            requests.propose(payload, in: .lease) { result in
                switch result {
                case .success(.lease(let outcome)):
                    guard case .renewed(let ttls) = outcome.result else {
                        preconditionFailure("a renewal was answered with \(outcome.result)")
                    }
                    for (request, ttl) in zip(part, ttls) {
                        request.handler(.success(Renewal(ttl: ttl, revision: outcome.revision)))
                    }
                case .success: preconditionFailure("a renewal was answered as another command")
                case .failure(let failure): for request in part { request.handler(.failure(failure)) }
                }
            }
        }
    }
}
