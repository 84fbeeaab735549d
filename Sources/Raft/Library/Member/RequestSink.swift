import RaftCore
import Synchronization

/// Those who wait for answers, by the number of their request. Every request ends exactly once: with its answer, when
/// its task is cancelled, or when the member stops, which drops what is under way without a word.
final class RequestSink<Answer: Sendable>: ReplySink {
    private typealias Waiter = UnsafeContinuation<Result<Answer, RaftError>, Never>

    private struct State: Sendable {
        var waiting: [UInt64: Waiter] = [:]
        var cancelled: Set<UInt64> = []
        var nextToken: UInt64 = 0
        var end: RaftError?
    }

    private let state = Mutex(State())

    /// Sends a request on its way, and waits for its answer.
    func ask(_ send: (Ticket<Answer>) -> Void) async throws(RaftError) -> Answer {
        let token = state.withLock { state in
            state.nextToken += 1
            return state.nextToken
        }
        let result = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let refusal = state.withLock { state -> RaftError? in
                    if state.cancelled.remove(token) != nil { return .cancelled }
                    // Nothing was sent yet.
                    if let end = state.end { return end == .stopped ? .notRunning : end }
                    state.waiting[token] = continuation
                    return nil
                }
                if let refusal {
                    continuation.resume(returning: .failure(refusal))
                } else {
                    send(Ticket(sink: self, token: token))
                }
            }
        } onCancel: {
            let continuation = state.withLock { state in
                let continuation = state.waiting.removeValue(forKey: token)
                if continuation == nil { state.cancelled.insert(token) }
                return continuation
            }
            continuation?.resume(returning: .failure(.cancelled))
        }
        state.withLock { _ = $0.cancelled.remove(token) }
        return try result.get()
    }

    func deliver(_ replies: [Reply<Answer>]) {
        if replies.count == 1 {
            let (waiter, end) = state.withLock { ($0.waiting.removeValue(forKey: replies[0].token), $0.end) }
            waiter?.resume(returning: replies[0].answer.mapError { RaftError($0, end: end) })
            return
        }
        // By places: this code is not specialised, and there iterating costs an allocation a reply.
        var ready: [(waiter: Waiter, place: Int)] = []
        ready.reserveCapacity(replies.count)
        let end = state.withLock { state in
            for place in 0..<replies.count {
                guard let waiter = state.waiting.removeValue(forKey: replies[place].token) else { continue }
                ready.append((waiter, place))
            }
            return state.end
        }
        for position in 0..<ready.count {
            let (waiter, place) = ready[position]
            waiter.resume(returning: replies[place].answer.mapError { RaftError($0, end: end) })
        }
    }

    /// Says to all who wait, and to all who come, that it is over.
    func end(_ error: RaftError) {
        let waiting = state.withLock { state in
            state.end = state.end ?? error
            defer { state.waiting = [:] }
            return state.waiting.values.map { (waiter: $0, error: state.end ?? error) }
        }
        for (waiter, error) in waiting { waiter.resume(returning: .failure(error)) }
    }

    /// Why there will be no more answers; what is under way is still answered by the stages.
    func note(_ error: RaftError) { state.withLock { $0.end = $0.end ?? error } }
}

extension RaftError {
    init(_ failure: RequestFailure, end: RaftError?) {
        self =
            switch failure {
            case .noLeader, .leaderChanging, .timedOutWithoutLeader: .noLeader
            case .tooManyRequests: .overloaded
            case .timedOut, .timedOutByLeaderFailure, .timedOutByLostConnection: .timedOut
            case .configurationRefused(let reason): RaftError(reason)
            case .notMember: .removed
            case .stopped: end ?? .stopped
            }
    }
}

extension RaftError {
    init(_ refusal: ConfigurationRefusal) {
        self =
            switch refusal {
            case .undecodable(let reason), .impossible(let reason): .membershipRefused(.impossible(reason))
            case .pending, .isJoint: .membershipRefused(.anotherUnderWay)
            case .isNotJoint: .membershipRefused(.impossible(refusal.description))
            case .removesAllVoters: .membershipRefused(.removesAllVoters)
            // One is enough to know what is wrong.
            case .unknownMembers(let ids): ids.first.map { .unknownMember($0) } ?? .membershipRefused(.impossible(""))
            case .losesQuorum(let silent): .wouldLoseQuorum(unreachable: silent)
            case .notCaughtUp(let learners): .membershipRefused(.notCaughtUp(learners))
            }
    }
}
