import HTTP2
import NIOCore
import NIOPosix
import SocketSupport
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// One connection for each endpoint, made when it is first needed and again when it was lost.
final class ConnectionPool: Sendable {
    let endpoints: [Endpoint]
    let group: any EventLoopGroup
    private let options: GRPCClientConnection.Options
    private let state: Mutex<State>

    private struct Slot {
        var future: EventLoopFuture<GRPCClientConnection>?
        /// Tells a connection from the one that came after it.
        var generation = 0
    }

    private struct State {
        var slots: [Slot]
        var preferred = 0
        var isClosed = false
    }

    enum Outcome: Sendable {
        case connected(GRPCClientConnection)
        case failed(reason: String)
        case tooLate
        case closed
    }

    init(endpoints: [Endpoint], group: any EventLoopGroup, options: GRPCClientConnection.Options) {
        self.endpoints = endpoints
        self.group = group
        self.options = options
        state = Mutex(State(slots: Array(repeating: Slot(), count: endpoints.count)))
    }

    /// The endpoints, the one that answered last first.
    var order: [Int] {
        let preferred = state.withLock { $0.preferred }
        return endpoints.indices.map { ($0 + preferred) % endpoints.count }
    }

    func prefer(_ index: Int) { state.withLock { $0.preferred = index } }

    /// Starts the next call at the endpoint after this one.
    func avoid(_ index: Int) {
        state.withLock { if $0.preferred == index { $0.preferred = (index + 1) % endpoints.count } }
    }

    func connection(to index: Int, before deadline: ContinuousClock.Instant) async -> Outcome {
        let remaining = ContinuousClock.now.duration(to: deadline)
        guard remaining > .zero else { return .tooLate }
        guard let future = future(of: index) else { return .closed }
        // The connect timeout is the options'; the call's may be shorter.
        let promise = future.eventLoop.makePromise(of: Outcome.self)
        future.whenComplete { result in
            switch result {
            case .success(let connection): promise.succeed(.connected(connection))
            case .failure(let error): promise.succeed(.failed(reason: Self.reason(error)))
            }
        }
        let timer = future.eventLoop.scheduleTask(in: TimeAmount(remaining)) { promise.succeed(.tooLate) }
        let outcome = (try? await promise.futureResult.get()) ?? .closed
        timer.cancel()
        return outcome
    }

    private func future(of index: Int) -> EventLoopFuture<GRPCClientConnection>? {
        let (future, started): (EventLoopFuture<GRPCClientConnection>?, Int?) = state.withLock { state in
            guard !state.isClosed else { return (nil, nil) }
            if let future = state.slots[index].future { return (future, nil) }
            let endpoint = endpoints[index]
            let future = GRPCClientConnection.connect(
                host: endpoint.host, port: endpoint.port, on: group, options: options)
            state.slots[index].future = future
            state.slots[index].generation += 1
            return (future, state.slots[index].generation)
        }
        guard let future, let generation = started else { return future }
        // Outside of the lock: a future that is complete already would call back at once.
        future.whenFailure { _ in self.forget(index, generation) }
        future.whenSuccess { $0.closed.whenComplete { _ in self.forget(index, generation) } }
        return future
    }

    private func forget(_ index: Int, _ generation: Int) {
        state.withLock { state in
            if state.slots[index].generation == generation { state.slots[index].future = nil }
        }
    }

    func shutdown() async {
        let futures = state.withLock { state in
            state.isClosed = true
            return state.slots.compactMap(\.future)
        }
        for future in futures {
            guard let connection = try? await future.get() else { continue }
            connection.close()
            _ = try? await connection.closed.get()
        }
    }

    /// Why connecting failed, in few words.
    private static func reason(_ error: any Error) -> String {
        if let failure = error as? NIOConnectionError, let first = failure.connectionErrors.first {
            return reason(first.error)
        }
        if let failure = error as? IOError {
            switch failure.errnoCode {
            case ECONNREFUSED: return "connection refused"
            case EHOSTUNREACH: return "no route to the host"
            case ENETUNREACH: return "the network is unreachable"
            case ECONNRESET: return "connection reset"
            default: break
            }
        }
        return SocketFailure.text(error)
    }
}
