import EtcdAPI
import HTTP2
import MVCC
import NIOCore
import Raft
import RaftCore
import Replica

extension ServiceContext {
    /// The alarms that are raised, as this member knows.
    var activeAlarms: [ActiveAlarm] { node.published.view.alarms.map { ActiveAlarm($0) } }

    /// Raises an alarm, from any thread. Who asks looks again, should it come to nothing.
    func raise(_ alarm: Alarm, on eventLoop: any EventLoop) {
        eventLoop.execute { [self] in requests(on: eventLoop).propose(.activate(alarm)) { _ in } }
    }

    // MARK: Space

    /// - Returns: false if a flush began or ended meanwhile: it would be wrong by a batch.
    func measureSpace() -> Bool {
        let admitted = space.admittedBytes
        let growth = sizes.growth.reading
        let inUse = sizes.engineInUse
        guard growth.serial == sizes.growth.reading.serial else { return false }
        space.measured(engineBytes: inUse, growth: growth, admittedBytes: admitted)
        return true
    }

    /// Measures when all that waits is in the engine: what was compacted just now is room then. On the event loop.
    func measureSpaceAnew(on eventLoop: any EventLoop, _ done: @escaping () -> Void) {
        let ticket = AwaitedReply<LogIndex>.ticket(on: eventLoop) { [self] _ in
            _ = measureSpace()
            done()
        }
        node.flush(ticket)
    }

    /// A request that would go over the quota: lets it go on if there is room after all, and refuses it otherwise, once
    /// the alarm is raised (M1).
    func findSpace(_ growth: Int, for call: GRPCCall, _ proceed: @escaping () -> Void) {
        findSpace(growth, through: requests(on: call.eventLoop)) { isFound in
            guard !call.isCancelled else { return }
            if isFound { proceed() } else { call.finish(GRPCStatus(EtcdError.noSpace)) }
        }
    }

    /// The same for a request that is no call of gRPC, on the event loop of `requests`.
    func findSpace(_ growth: Int, through requests: LoopRequests, _ done: @escaping (_ isFound: Bool) -> Void) {
        let alarm = Alarm(.noSpace, member: memberID.rawValue)
        guard !node.published.view.alarms.contains(alarm) else { return done(false) }
        measureSpaceAnew(on: requests.eventLoop) { [self] in
            if space.admits(growth) { return done(true) }
            // One proposal for all who come meanwhile.
            guard space.beginRaising() else { return done(false) }
            requests.propose(.activate(alarm)) { [space] _ in
                space.endRaising()
                done(false)
            }
        }
    }
}

extension LoopRequests {
    /// Has an alarm command applied.
    func propose(
        _ command: AlarmCommand, _ done: @escaping (Swift.Result<AlarmOutcome, RequestFailure>) -> Void
    ) {
        let payload = AlarmCommandCodec.encode(command, prefixBytes: Self.commandPrefixBytes)
        propose(payload, in: .alarm) { result in
            switch result {
            case .success(.alarm(let outcome)): done(.success(outcome))
            // It cannot be: each kind of command has its own kind of answer.
            case .success: done(.failure(.stopped))
            case .failure(let failure): done(.failure(failure))
            }
        }
    }
}
