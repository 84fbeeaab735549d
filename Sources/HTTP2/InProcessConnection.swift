internal import Glibc
package import NIOCore
internal import NIOPosix

extension GRPCServer {
    /// A client's connection to this very server, over a socketpair: what comes in by another way (JSON over HTTP)
    /// calls the same methods, with the same limits, deadlines and counters, and needs no port. Both ends live on the
    /// event loop that is given, which must be one that the server's services know.
    ///
    /// - Parameter options: for the client's end. The server's end trusts its peer: a client of the other way that
    ///   cancels much is that way's to bound, and must not cost everybody this connection.
    package func connectInProcess(
        on eventLoop: any EventLoop, options: GRPCClientConnection.Options
    ) -> EventLoopFuture<GRPCClientConnection> {
        var ends: (Int32, Int32) = (-1, -1)
        let result = withUnsafeMutablePointer(to: &ends) {
            $0.withMemoryRebound(to: Int32.self, capacity: 2) {
                socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, $0)
            }
        }
        guard result == 0 else {
            return eventLoop.makeFailedFuture(IOError(errnoCode: errno, reason: "socketpair"))
        }
        var limits = self.options.http2
        limits.resetBudget = 1 << 30
        limits.resetBudgetPerSecond = 1 << 30
        limits.keepAliveInterval = nil
        limits.concurrentStreamsMax = options.http2.concurrentStreamsMax
        let serverEnd = ClientBootstrap(group: eventLoop)
            .channelOption(
                .writeBufferWaterMark,
                value: .init(low: limits.socketQueueBytesMax / 2, high: limits.socketQueueBytesMax)
            )
            .channelInitializer { [limits] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        self.makeConnection(on: channel.eventLoop, limits: limits))
                }
            }
            .withConnectedSocket(ends.0)
        // Takes its descriptor whether or not the other end came up; each end closes the other.
        return ClientBootstrap(group: eventLoop)
            // A server speaks first: what it sends must wait until there is somebody to take it.
            .channelOption(.autoRead, value: false)
            .withConnectedSocket(ends.1)
            .flatMap { channel in
                serverEnd.flatMap { _ in
                    GRPCClientConnection.attach(to: channel, authority: "localhost", options: options)
                }.flatMap { client in
                    channel.setOption(.autoRead, value: true).map { client }
                }.flatMapError { error in
                    channel.close(promise: nil)
                    return channel.eventLoop.makeFailedFuture(error)
                }
            }
    }
}
