import Synchronization

/// Where the transport says that the member must not go on. It may do so before there is a node to stop.
final class FailureRelay: Sendable {
    private struct State: Sendable {
        var stop: (@Sendable (NodeFailure) -> Void)?
        var failure: NodeFailure?
    }

    private let state = Mutex(State())

    func fail(_ failure: NodeFailure) {
        let stop = state.withLock { state in
            state.failure = state.failure ?? failure
            return state.stop
        }
        stop?(failure)
    }

    /// Who is to be told; of what has been said before, too.
    func attach(_ stop: @escaping @Sendable (NodeFailure) -> Void) {
        let failure = state.withLock { state in
            state.stop = stop
            return state.failure
        }
        if let failure { stop(failure) }
    }
}
