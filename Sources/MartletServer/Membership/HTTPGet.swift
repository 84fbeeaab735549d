import NIOCore
import NIOHTTP1
import NIOPosix
import SocketSupport
import Synchronization

/// One GET of another member, for somebody who may wait: an answer, or a sentence why there is none.
enum HTTPGet {
    struct Answer: Hashable, Sendable {
        var status: Int
        var fields: [String: String]
        var body: [UInt8]

        /// By the field's name, whatever its case.
        subscript(name: String) -> String? { fields[name.lowercased()] }
    }

    struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        var description: String
    }

    /// A list of thousands of members fits.
    static let bodyBytesMax = 1 << 20

    /// Blocks for `timeout` at most; not to be called on an event loop.
    static func get(_ url: ServerURL, _ path: String, timeout: TimeAmount) throws(Failure) -> Answer {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { try? group.syncShutdownGracefully() }
        let eventLoop = group.next()
        let promise = eventLoop.makePromise(of: Answer.self)
        let limit = eventLoop.scheduleTask(in: timeout) {
            promise.fail(Failure(description: "no answer within \(timeout.nanoseconds / 1_000_000) ms"))
        }
        ClientBootstrap(group: group)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handlers = channel.pipeline.syncOperations
                    try handlers.addHTTPClientHandlers()
                    try handlers.addHandler(Asker(path: path, host: url.hostAndPort, promise: promise))
                }
            }
            .connect(host: url.host, port: url.port)
            .whenFailure { error in promise.fail(Failure(description: SocketFailure.text(error))) }
        defer { limit.cancel() }
        do {
            return try promise.futureResult.wait()
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure(description: SocketFailure.text(error))
        }
    }

    private final class Asker: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart
        typealias OutboundOut = HTTPClientRequestPart

        private let path: String
        private let host: String
        private let promise: EventLoopPromise<Answer>
        private var answer = Answer(status: 0, fields: [:], body: [])
        private var isOver = false

        init(path: String, host: String, promise: EventLoopPromise<Answer>) {
            self.path = path
            self.host = host
            self.promise = promise
        }

        func channelActive(context: ChannelHandlerContext) {
            let headers: HTTPHeaders = ["host": host, "connection": "close", "accept": "application/json"]
            let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path, headers: headers)
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                answer.status = Int(head.status.code)
                for (name, value) in head.headers { answer.fields[name.lowercased()] = value }
            case .body(let part):
                answer.body += part.readableBytesView
                if answer.body.count > HTTPGet.bodyBytesMax {
                    fail("an answer of more than \(HTTPGet.bodyBytesMax) bytes", context)
                }
            case .end:
                guard !isOver else { return }
                isOver = true
                promise.succeed(answer)
                context.close(promise: nil)
            }
        }

        func channelInactive(context: ChannelHandlerContext) { fail("the connection was closed", context) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { fail("\(error)", context) }

        private func fail(_ reason: String, _ context: ChannelHandlerContext) {
            guard !isOver else { return }
            isOver = true
            promise.fail(Failure(description: reason))
            context.close(promise: nil)
        }
    }
}
