package import NIOCore
internal import Synchronization

/// Serves gRPC on HTTP/2 connections: which methods there are, what a message may weigh, who counts.
package final class GRPCServer: Sendable {
    package struct Options: Sendable {
        package var http2 = HTTP2Limits()
        /// The largest message that is taken, after decompression. etcd's: `--max-request-bytes` and 512 KiB.
        package var messageBytesMax = 2 << 20
        /// Body of a request that is not gRPC's, for `plainHTTP`.
        package var plainBodyBytesMax = 2 << 20

        package init() {}
    }

    package let methods: GRPCMethods
    package let options: Options
    let observer: (any GRPCObserver)?
    /// Takes HTTP/2 requests that are not gRPC's (browsers and curl come to the gateway this way when ALPN let them
    /// choose). Without it they are answered with 415, as gRPC's servers do.
    let plainHTTP: (@Sendable (HTTP2PlainRequest) -> Void)?

    private struct Loop {
        let eventLoop: any EventLoop
        let counters: GRPCCounters
        var connections: [ObjectIdentifier: HTTP2Connection] = [:]
    }
    private struct State {
        var loops: [Loop] = []
        var drainDeadline: NIODeadline?
    }
    private let state = Mutex(State())

    package init(
        methods: GRPCMethods, options: Options = Options(), observer: (any GRPCObserver)? = nil,
        plainHTTP: (@Sendable (HTTP2PlainRequest) -> Void)? = nil
    ) {
        self.methods = methods
        self.options = options
        self.observer = observer
        self.plainHTTP = plainHTTP
    }

    /// The handler for a channel that speaks HTTP/2; to be added to its pipeline, on its event loop.
    /// - Parameter limits: others than the server's options have, for a peer that is known.
    package func makeConnection(on eventLoop: any EventLoop, limits: HTTP2Limits? = nil) -> HTTP2Connection {
        let counters = ownCounters(of: eventLoop)
        let session = GRPCServerSession(server: self, counters: counters)
        let connection = HTTP2Connection(
            role: .server, limits: limits ?? options.http2, eventLoop: eventLoop, delegate: session)
        session.connection = connection
        return connection
    }

    private func ownCounters(of eventLoop: any EventLoop) -> GRPCCounters {
        state.withLock { state in
            if let loop = state.loops.first(where: { $0.eventLoop === eventLoop }) { return loop.counters }
            let counters = GRPCCounters(methods: methods.all.count)
            state.loops.append(Loop(eventLoop: eventLoop, counters: counters))
            return counters
        }
    }

    func opened(_ connection: HTTP2Connection) {
        let deadline = state.withLock { state in
            if let index = state.loops.firstIndex(where: { $0.eventLoop === connection.eventLoop }) {
                state.loops[index].connections[ObjectIdentifier(connection)] = connection
            }
            return state.drainDeadline
        }
        // Accepted just before the port was closed.
        if let deadline { connection.eventLoop.execute { connection.drain(deadline: deadline) } }
    }

    func closed(_ connection: HTTP2Connection) {
        state.withLock { state in
            guard let index = state.loops.firstIndex(where: { $0.eventLoop === connection.eventLoop }) else { return }
            state.loops[index].connections[ObjectIdentifier(connection)] = nil
        }
    }

    package var connectionCount: Int { state.withLock { $0.loops.reduce(0) { $0 + $1.connections.count } } }

    /// Lets the open calls of all connections end until the deadline, takes no new ones, then closes the connections.
    /// The port is to be closed by whoever opened it.
    package func drain(deadline: NIODeadline) {
        let connections = state.withLock { state in
            state.drainDeadline = deadline
            return state.loops.flatMap { $0.connections.values }
        }
        for connection in connections {
            connection.eventLoop.execute { connection.drain(deadline: deadline) }
        }
    }

    /// What has been counted so far, a line for each method; the last is for calls of unknown ones, with an empty path.
    package func counters() async -> [GRPCMethodCounters] {
        let loops = state.withLock { $0.loops.map(\.eventLoop) }
        guard let first = loops.first else { return emptyCounters }
        return (try? await counters(on: first).get()) ?? emptyCounters
    }

    /// The same for those who wait on an event loop. Each event loop adds up its own; none of them is waited for twice.
    package func counters(on eventLoop: any EventLoop) -> EventLoopFuture<[GRPCMethodCounters]> {
        let empty = emptyCounters
        let parts = state.withLock { $0.loops.map { ($0.eventLoop, $0.counters) } }.map { loop, counters in
            loop.submit {
                var part = empty
                counters.add(to: &part)
                return part
            }
        }
        return EventLoopFuture.whenAllSucceed(parts, on: eventLoop).map { parts in
            var sums = empty
            for part in parts {
                for (index, line) in part.enumerated() { sums[index].add(line) }
            }
            return sums
        }
    }

    private var emptyCounters: [GRPCMethodCounters] {
        methods.all.map { GRPCMethodCounters(path: $0.path) } + [GRPCMethodCounters(path: "")]
    }
}

extension GRPCMethodCounters {
    fileprivate mutating func add(_ other: GRPCMethodCounters) {
        started += other.started
        messagesReceived += other.messagesReceived
        messagesSent += other.messagesSent
        bytesReceived += other.bytesReceived
        bytesSent += other.bytesSent
        for code in handled.indices { handled[code] += other.handled[code] }
    }
}
