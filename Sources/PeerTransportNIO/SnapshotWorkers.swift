internal import NIOPosix
internal import Synchronization

/// A thread for each snapshot stream, so that reading a source and writing a sink never hold up an event loop, and so
/// that a source is read, and a sink written, by one thread only. Threads are made when first needed and used again.
final class SnapshotWorkers: Sendable {
    enum Direction: Sendable {
        case outgoing, incoming
    }

    private struct State {
        var isShutDown = false
        var idle: [NIOThreadPool] = []
        var outgoing = 0
        var incoming = 0
    }

    private let outgoingLimit: Int
    private let incomingLimit: Int
    private let state = Mutex(State())

    init(outgoing: Int, incoming: Int) {
        outgoingLimit = outgoing
        incomingLimit = incoming
    }

    /// A thread for one stream; nil when as many streams are open as may be.
    func acquire(_ direction: Direction) -> NIOThreadPool? {
        state.withLock { state in
            guard !state.isShutDown else { return nil }
            switch direction {
            case .outgoing:
                guard state.outgoing < outgoingLimit else { return nil }
                state.outgoing += 1
            case .incoming:
                guard state.incoming < incomingLimit else { return nil }
                state.incoming += 1
            }
            if let idle = state.idle.popLast() { return idle }
            let worker = NIOThreadPool(numberOfThreads: 1)
            worker.start()
            return worker
        }
    }

    func release(_ worker: NIOThreadPool, _ direction: Direction) {
        vacate(direction)
        giveBack(worker)
    }

    /// Ends a stream's place in the count, while its thread is kept.
    func vacate(_ direction: Direction) {
        state.withLock { state in
            switch direction {
            case .outgoing: state.outgoing -= 1
            case .incoming: state.incoming -= 1
            }
        }
    }

    /// Gives back a thread alone.
    func giveBack(_ worker: NIOThreadPool) {
        let isShutDown = state.withLock { state in
            if !state.isShutDown { state.idle.append(worker) }
            return state.isShutDown
        }
        if isShutDown { worker.shutdownGracefully { _ in } }
    }

    var inUse: (outgoing: Int, incoming: Int) { state.withLock { ($0.outgoing, $0.incoming) } }

    /// Ends the threads. All streams are done by now.
    func shutDown() {
        let workers = state.withLock { state in
            state.isShutDown = true
            defer { state.idle = [] }
            return state.idle
        }
        for worker in workers { try? worker.syncShutdownGracefully() }
    }
}
