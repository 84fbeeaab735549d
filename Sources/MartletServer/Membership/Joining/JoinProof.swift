import Foundation
import NIOCore
import NIOPosix

/// While a member asks to be taken in, it answers at its own peer URLs, so that the one it asks can see that it is
/// there, and that nobody else is (``JoinDesk``). The ports are its own already; the transport takes them later.
final class JoinProof {
    /// Nobody can guess it.
    let nonce: String
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private var channels: [any Channel] = []

    init(_ sockets: [ListeningSocket]) throws(ConfigurationError) {
        var random = SystemRandomNumberGenerator()
        nonce = hex(random.next()) + hex(random.next())
        var router = PlainRouter()
        let text = "{\"nonce\":\"\(nonce)\"}\n"
        router.on(["GET"], PeerSelf.path) { _, _, respond in
            respond(PlainResponse(status: 200, contentType: "application/json", body: text))
        }
        let http = HTTP1Server(router: router, limits: HTTP1Limits())
        for socket in sockets {
            do {
                channels.append(
                    try ServerBootstrap(group: group)
                        .childChannelInitializer { channel in
                            channel.eventLoop.makeCompletedFuture { try http.configure(channel) }
                        }
                        .withBoundSocket(socket.lend()).wait())
            } catch {
                stop()
                throw ConfigurationError("the ports for members cannot be used while joining: \(error)")
            }
        }
    }

    func stop() {
        for channel in channels { try? channel.close().wait() }
        channels = []
        try? group.syncShutdownGracefully()
    }
}
