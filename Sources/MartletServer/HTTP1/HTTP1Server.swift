import NIOCore
import NIOHTTP1
import Synchronization

/// What the HTTP/1.1 connections of a server share: who answers, the limits, and the list of them.
final class HTTP1Server: Sendable {
    let router: PlainRouter
    let limits: HTTP1Limits
    let webSocketLimits: WebSocketLimits
    private let connections = Mutex<[ObjectIdentifier: HTTP1Connection]>([:])
    private let loops = Mutex<[(eventLoop: any EventLoop, usage: HTTP1Usage)]>([])
    private let isDraining = Mutex(false)

    init(router: PlainRouter, limits: HTTP1Limits) {
        self.router = router
        self.limits = limits
        var webSocketLimits = WebSocketLimits()
        webSocketLimits.messageBytesMax = limits.bodyBytesMax
        self.webSocketLimits = webSocketLimits
    }

    /// Sets a channel up for HTTP/1.1; on its event loop.
    func configure(_ channel: any Channel) throws {
        let operations = channel.pipeline.syncOperations
        try operations.addHandler(
            ByteToMessageHandler(
                HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: limits.decoder)))
        try operations.addHandler(HTTPResponseEncoder())
        try operations.addHandler(
            HTTP1Connection(server: self, usage: usage(on: channel.eventLoop), eventLoop: channel.eventLoop))
    }

    private func usage(on eventLoop: any EventLoop) -> HTTP1Usage {
        loops.withLock { loops in
            if let known = loops.first(where: { $0.eventLoop === eventLoop }) { return known.usage }
            let usage = HTTP1Usage()
            loops.append((eventLoop, usage))
            return usage
        }
    }

    func opened(_ connection: HTTP1Connection) {
        connections.withLock { $0[ObjectIdentifier(connection)] = connection }
        if isDraining.withLock({ $0 }) { connection.drain() }
    }

    func closed(_ connection: HTTP1Connection) {
        connections.withLock { $0[ObjectIdentifier(connection)] = nil }
    }

    var connectionCount: Int { connections.withLock { $0.count } }

    /// Has every connection close when the request that it works on has been answered, idle ones at once.
    func drain() {
        isDraining.withLock { $0 = true }
        for connection in connections.withLock({ Array($0.values) }) {
            connection.eventLoop.execute { connection.drain() }
        }
    }
}

/// What the connections of one event loop use together; on that event loop only.
final class HTTP1Usage: @unchecked Sendable {
    var bodyBytes = 0
}
