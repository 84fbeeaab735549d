import NIOCore
import NIOHTTP1
import NIOWebSocket

/// How an HTTP/1.1 connection becomes a WebSocket (RFC 6455 section 4).
enum WebSocketHandshake {
    /// Whether the client wants that, rightly or not.
    static func isAsked(by head: HTTPRequestHead) -> Bool {
        head.method == .GET && has("websocket", in: "upgrade", of: head) && has("upgrade", in: "connection", of: head)
    }

    private static func has(_ token: String, in name: String, of head: HTTPRequestHead) -> Bool {
        head.headers[canonicalForm: name].contains { $0.lowercased() == token }
    }

    /// The header of the answer that agrees; nil if the request is not as it must be.
    static func agreement(to head: HTTPRequestHead, on channel: any Channel) -> EventLoopFuture<HTTPHeaders?> {
        let upgrader = NIOWebSocketServerUpgrader(
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })
        return upgrader.buildUpgradeResponse(channel: channel, upgradeRequest: head, initialResponseHeaders: [:])
            .map { $0 }
            .recover { _ in nil }
    }
}
