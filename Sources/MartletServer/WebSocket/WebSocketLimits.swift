import NIOCore

/// What a WebSocket may use and how long it may take: every queue and buffer of this folder has its limit here.
struct WebSocketLimits: Sendable {
    /// One message of the client, whose frames are put together.
    var messageBytesMax = 4 << 20
    /// How often the client is asked whether it is still there. Who has not said anything twice in a row has gone.
    var pingInterval: TimeAmount = .seconds(30)
}
