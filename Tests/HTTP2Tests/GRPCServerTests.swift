import CZlib
import Glibc
import HTTP2
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

/// What a gRPC server owes to clients that behave and to clients that do not, seen from a raw socket.
@Suite struct GRPCServerTests {
    @Test func `a unary call is answered with headers, message and trailers`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            peer.sendRequest(1)
            let answer = peer.answer(on: 1)
            #expect(answer?.httpStatus == "200")
            #expect(answer?.fields["content-type"] == "application/grpc")
            #expect(answer?.body == RawPeer.message([1, 2, 3]))
            #expect(answer?.grpcStatus == "0")
            #expect(answer?.grpcMessage == "")
            let counters = await server.counters("/test.Echo/Unary")
            #expect(counters.started == 1)
            #expect(counters.handled[0] == 1)
            #expect(counters.messagesReceived == 1 && counters.messagesSent == 1)
            #expect(counters.bytesReceived == 3 && counters.bytesSent == 3)
        }
    }

    @Test func `a message may come in any pieces`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            let body = RawPeer.message(Array(0..<40))
            for (number, size) in [1, 2, 4, 5, 6, 44].enumerated() {
                let stream = UInt32(number * 2 + 1)
                peer.sendFrame(RawPeer.headers, RawPeer.endHeaders, stream, RawPeer.block(RawPeer.request()))
                for start in stride(from: 0, to: body.count, by: size) {
                    peer.sendFrame(RawPeer.data, 0, stream, Array(body[start..<min(body.count, start + size)]))
                }
                peer.sendFrame(RawPeer.data, RawPeer.endStream, stream, [])
                #expect(peer.answer(on: stream)?.body == body)
            }
        }
    }

    @Test func `a message larger than the limit ends its stream with RESOURCE_EXHAUSTED, and the rest is dropped`()
        async throws
    {
        try await TestServer.with({ $0.messageBytesMax = 528_384 }) { server in
            let peer = try RawPeer.ready(server.port)
            let body = RawPeer.message([UInt8](repeating: 9, count: 600_007))
            var bytes = RawPeer.bytes(RawPeer.headers, RawPeer.endHeaders, 1, RawPeer.block(RawPeer.request()))
            for start in stride(from: 0, to: body.count, by: 16_384) {
                let end = min(body.count, start + 16_384)
                bytes += RawPeer.bytes(
                    RawPeer.data, end == body.count ? RawPeer.endStream : 0, 1, Array(body[start..<end]))
            }
            peer.send(bytes)
            let answer = peer.answer(on: 1)
            #expect(answer?.grpcStatus == "8")
            #expect(answer?.grpcMessage == "grpc: received message larger than max (600007 vs. 528384)")
            #expect(answer?.reset == nil)
            peer.sendRequest(3)
            #expect(peer.answer(on: 3)?.grpcStatus == "0")
        }
    }

    @Test func `a request that never ends after its answer is reset without an error`() async throws {
        try await TestServer.with({
            $0.messageBytesMax = 1000
            $0.http2.discardedBytesMax = 100_000
        }) { server in
            let peer = try RawPeer.ready(server.port)
            peer.sendFrame(RawPeer.headers, RawPeer.endHeaders, 1, RawPeer.block(RawPeer.request()))
            for _ in 0..<10 {
                peer.sendFrame(
                    RawPeer.data, 0, 1, RawPeer.message([UInt8](repeating: 9, count: 16_379), length: 1 << 30))
            }
            let reset = peer.frames { $0.type == RawPeer.rst }?.last
            #expect(reset?.stream == 1 && reset?.errorCode == 0)
        }
        try await TestServer.with({
            $0.messageBytesMax = 1000
            $0.http2.discardTimeout = .milliseconds(50)
        }) { server in
            let peer = try RawPeer.ready(server.port)
            peer.sendFrame(RawPeer.headers, RawPeer.endHeaders, 1, RawPeer.block(RawPeer.request()))
            peer.sendFrame(RawPeer.data, 0, 1, RawPeer.message([], length: 1 << 30))
            let reset = peer.frames { $0.type == RawPeer.rst }?.last
            #expect(reset?.stream == 1 && reset?.errorCode == 0)
        }
    }

    struct BadBody: Sendable, CustomTestStringConvertible {
        let name: String
        let body: [UInt8]
        let status: String
        var extra: [(String, String)] = []
        var testDescription: String { name }
    }

    static let badBodies = [
        BadBody(name: "no message", body: [], status: "13"),
        BadBody(name: "a prefix without the rest", body: [0, 0, 0], status: "13"),
        BadBody(
            name: "a message that is shorter than it says", body: RawPeer.message([1, 2], length: 3), status: "13"),
        BadBody(name: "a byte too many", body: RawPeer.message([1, 2]) + [0], status: "13"),
        BadBody(name: "two messages", body: RawPeer.message([1]) + RawPeer.message([2]), status: "13"),
        BadBody(name: "a flag that does not exist", body: RawPeer.message([1], flag: 2), status: "13"),
        BadBody(name: "compressed without an encoding", body: RawPeer.message([1], flag: 1), status: "13"),
        BadBody(
            name: "compressed with identity", body: RawPeer.message([1], flag: 1), status: "13",
            extra: [("grpc-encoding", "identity")]),
        BadBody(
            name: "an unknown encoding", body: RawPeer.message([1]), status: "12", extra: [("grpc-encoding", "zstd")]),
        BadBody(
            name: "gzip that is none", body: RawPeer.message([1, 2, 3], flag: 1), status: "13",
            extra: [("grpc-encoding", "gzip")]),
        BadBody(
            name: "empty gzip", body: RawPeer.message([], flag: 1), status: "13", extra: [("grpc-encoding", "gzip")]),
        BadBody(
            name: "gzip that ends early", body: RawPeer.message(Array(gzip([1, 2, 3]).dropLast(9)), flag: 1),
            status: "13", extra: [("grpc-encoding", "gzip")]),
        BadBody(
            name: "gzip with something behind it", body: RawPeer.message(gzip([1, 2, 3]) + [0], flag: 1), status: "13",
            extra: [("grpc-encoding", "gzip")]),
        BadBody(
            name: "a length of 4 GiB", body: [0, 255, 255, 255, 255, 1], status: "8"),
    ]

    @Test(arguments: badBodies)
    func `a body that is not one message ends its call with a status`(_ bad: BadBody) async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            peer.sendRequest(1, RawPeer.request(extra: bad.extra), body: bad.body)
            let answer = peer.answer(on: 1)
            #expect(answer?.httpStatus == "200")
            #expect(answer?.grpcStatus == bad.status, "\(answer?.grpcMessage ?? "")")
            #expect(answer?.reset == nil)
            if bad.status == "12" { #expect(answer?.fields["grpc-accept-encoding"] == "identity,gzip") }
            peer.sendRequest(3)
            #expect(peer.answer(on: 3)?.grpcStatus == "0")
        }
    }

    @Test func `a stream that ends in the middle of a message ends with INTERNAL`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            peer.sendRequest(
                1, RawPeer.request("/test.Echo/Stream"), body: RawPeer.message([1]) + RawPeer.message([2], length: 9))
            let answer = peer.answer(on: 1)
            #expect(answer?.body == RawPeer.message([1]))
            #expect(answer?.grpcStatus == "13")
            #expect(await server.journal.wait(for: "cancelled"))
        }
    }

    @Test func `gzip messages are inflated, up to the limit`() async throws {
        try await TestServer.with({ $0.messageBytesMax = 100_000 }) { server in
            let peer = try RawPeer.ready(server.port, settings: [0, 4] + RawPeer.number(1 << 20))
            peer.sendFrame(RawPeer.windowUpdate, 0, 0, RawPeer.number(1 << 20))
            let text = [UInt8](repeating: 65, count: 100_000)
            let fields = RawPeer.request(extra: [("grpc-encoding", "gzip")])
            peer.sendRequest(1, fields, body: RawPeer.message(Self.gzip(text), flag: 1))
            let answer = peer.answer(on: 1)
            #expect(answer.map { $0.body == RawPeer.message(text) } == true)
            // Not every message of a call need be compressed.
            peer.sendRequest(3, fields, body: RawPeer.message([5]))
            #expect(peer.answer(on: 3)?.body == RawPeer.message([5]))
            let bomb = Self.gzip([UInt8](repeating: 0, count: 50 << 20))
            #expect(bomb.count < 100_000)
            peer.sendRequest(5, fields, body: nil)
            _ = peer.answer(on: 5)
            var bytes = RawPeer.bytes(RawPeer.headers, RawPeer.endHeaders, 7, RawPeer.block(fields))
            let body = RawPeer.message(bomb, flag: 1)
            for start in stride(from: 0, to: body.count, by: 16_384) {
                let end = min(body.count, start + 16_384)
                bytes += RawPeer.bytes(
                    RawPeer.data, end == body.count ? RawPeer.endStream : 0, 7, Array(body[start..<end]))
            }
            peer.send(bytes)
            #expect(peer.answer(on: 7)?.grpcStatus == "8")
        }
    }

    static func gzip(_ bytes: [UInt8]) -> [UInt8] {
        var stream = z_stream()
        deflateInit2_(
            &stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        defer { deflateEnd(&stream) }
        var input = bytes
        var output = [UInt8](repeating: 0, count: bytes.count / 2 + 1000)
        let count = output.count
        return input.withUnsafeMutableBufferPointer { input in
            stream.next_in = input.baseAddress
            stream.avail_in = UInt32(input.count)
            output.withUnsafeMutableBufferPointer { output in
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(count)
                precondition(deflate(&stream, Z_FINISH) == Z_STREAM_END)
            }
            return Array(output[..<(count - Int(stream.avail_out))])
        }
    }

    struct BadRequest: Sendable, CustomTestStringConvertible {
        let name: String
        let fields: [(String, String)]
        let http: String
        let grpc: String
        let message: String
        var testDescription: String { name }
    }

    static func request(_ name: String, _ value: String) -> [(String, String)] {
        RawPeer.request().map { $0.0 == name ? (name, value) : $0 }
    }

    static let badRequests = [
        BadRequest(
            name: "another content type", fields: request("content-type", "text/html"), http: "415", grpc: "3",
            message: "invalid gRPC request content-type \"text/html\""),
        BadRequest(
            name: "a content type that only begins like gRPC's", fields: request("content-type", "application/grpcx"),
            http: "415", grpc: "3", message: "invalid gRPC request content-type \"application/grpcx\""),
        BadRequest(
            name: "no content type", fields: RawPeer.request().filter { $0.0 != "content-type" }, http: "415",
            grpc: "3", message: "invalid gRPC request content-type \"\""),
        BadRequest(
            name: "GET", fields: request(":method", "GET"), http: "405", grpc: "13",
            message: "Received a HEADERS frame with :method \"GET\" which should be POST"),
        BadRequest(
            name: "an unknown method", fields: request(":path", "/test.Echo/Nothing"), http: "200", grpc: "12",
            message: "unknown method Nothing for service test.Echo"),
        BadRequest(
            name: "an unknown service", fields: request(":path", "/test.Other/Unary"), http: "200", grpc: "12",
            message: "unknown service test.Other"),
        BadRequest(
            name: "a path without a service", fields: request(":path", "/x"), http: "200", grpc: "12",
            message: "malformed method name: \"/x\""),
        BadRequest(
            name: "a timeout without a unit", fields: RawPeer.request(extra: [("grpc-timeout", "100")]), http: "400",
            grpc: "13", message: "malformed grpc-timeout"),
        BadRequest(
            name: "a timeout of nine digits", fields: RawPeer.request(extra: [("grpc-timeout", "123456789n")]),
            http: "400", grpc: "13", message: "malformed grpc-timeout"),
        BadRequest(
            name: "a timeout of nothing", fields: RawPeer.request(extra: [("grpc-timeout", "0m")]), http: "200",
            grpc: "4", message: "context deadline exceeded"),
        BadRequest(
            name: "header fields without end",
            fields: RawPeer.request(extra: (0..<200).map { ("x-\($0)", String(repeating: "v", count: 40)) }),
            http: "431", grpc: "8", message: "header list is too large"),
    ]

    @Test(arguments: badRequests)
    func `a request that is not a call of ours is answered, with its body unread`(_ bad: BadRequest) async throws {
        try await TestServer.with({ $0.http2.headerListBytesMax = 8192 }) { server in
            let peer = try RawPeer.ready(server.port)
            peer.sendRequest(1, bad.fields)
            let answer = peer.answer(on: 1)
            #expect(answer?.httpStatus == bad.http)
            #expect(answer?.grpcStatus == bad.grpc)
            #expect(answer?.grpcMessage == bad.message)
            #expect(answer?.body == [])
            peer.sendRequest(3)
            #expect(peer.answer(on: 3)?.grpcStatus == "0")
        }
    }

    @Test func `content types with a suffix or parameters are gRPC's`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            for (number, type) in ["application/grpc+proto", "application/grpc;charset=utf-8", "Application/GRPC"]
                .enumerated()
            {
                let stream = UInt32(number * 2 + 1)
                peer.sendRequest(stream, Self.request("content-type", type))
                #expect(peer.answer(on: stream)?.grpcStatus == "0")
            }
        }
    }

    @Test func `a deadline ends a call that the service does not answer`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            let start = ContinuousClock.now
            peer.sendRequest(1, RawPeer.request("/test.Echo/Never", extra: [("grpc-timeout", "80m")]))
            let answer = peer.answer(on: 1)
            let elapsed = ContinuousClock.now - start
            #expect(answer?.grpcStatus == "4")
            #expect(answer?.grpcMessage == "context deadline exceeded")
            #expect(elapsed >= .milliseconds(80))
            #expect(await server.journal.wait(for: "cancelled"))
            #expect(await server.counters("/test.Echo/Never").handled[4] == 1)
        }
    }

    @Test func `a call that the client resets is cancelled`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            peer.sendRequest(1, RawPeer.request("/test.Echo/Never"))
            peer.sendRequest(3, RawPeer.request("/test.Echo/Stream"), body: nil)
            peer.sendFrame(
                RawPeer.headers, RawPeer.endHeaders, 5, RawPeer.block(RawPeer.request("/test.Echo/Stream")))
            #expect(await server.journal.wait(for: "opened", count: 2))
            peer.sendFrame(RawPeer.rst, 0, 1, RawPeer.number(8))
            peer.sendFrame(RawPeer.rst, 0, 5, RawPeer.number(8))
            // The second call had ended by itself.
            #expect(await server.journal.wait(for: "cancelled", count: 2))
            peer.sendRequest(7)
            #expect(peer.answer(on: 7)?.grpcStatus == "0")
            #expect(await server.counters("/test.Echo/Never").handled[1] == 1)
        }
    }

    @Test func `when the connection is lost, all its calls are cancelled`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            peer.sendRequest(1, RawPeer.request("/test.Echo/Never"))
            peer.sendFrame(
                RawPeer.headers, RawPeer.endHeaders, 3, RawPeer.block(RawPeer.request("/test.Echo/Stream")))
            #expect(await server.journal.wait(for: "opened"))
            peer.close()
            #expect(await server.journal.wait(for: "cancelled", count: 2))
        }
    }

    @Test func `a client that shuts its half of the socket is gone, as for gRPC's Go server`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            peer.sendRequest(1, RawPeer.request("/test.Echo/Never"))
            #expect(await server.journal.wait(for: "begun"))
            peer.halfClose()
            #expect(await server.journal.wait(for: "cancelled"))
            _ = peer.readAll()
            #expect(peer.isClosed)
        }
    }

    @Test func `a stream that the server ends is reset without an error, after its trailers`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            peer.send(
                RawPeer.bytes(
                    RawPeer.headers, RawPeer.endHeaders, 1, RawPeer.block(RawPeer.request("/test.Echo/Stream")))
                    + RawPeer.bytes(
                        RawPeer.data, 0, 1, RawPeer.message(Array("one".utf8)) + RawPeer.message(Array("stop".utf8))))
            let answer = peer.answer(on: 1)
            #expect(answer?.body == RawPeer.message(Array("one".utf8)))
            #expect(answer?.grpcStatus == "10")
            #expect(answer?.grpcMessage == "stopped")
            let reset = peer.next()
            #expect(reset?.type == RawPeer.rst && reset?.errorCode == 0)
        }
    }

    @Test func `HTTP1 on the same port gets its own pipeline, and what was read is replayed`() async throws {
        let server = try await TestServer(configureHTTP1: { channel in
            channel.eventLoop.scheduleTask(in: .milliseconds(20)) {}.futureResult.flatMap {
                channel.pipeline.configureHTTPServerPipeline().flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(HTTP1Answer())
                }
            }
        })
        for pieces in [
            ["GET /health HTTP/1.1\r\nHost: x\r\n\r\n"],
            ["P", "OST", " /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"],
        ] {
            let peer = try RawPeer(port: server.port)
            for piece in pieces {
                peer.send(Array(piece.utf8))
                try await Task.sleep(for: .milliseconds(5))
            }
            let answer = String(decoding: peer.readAll(), as: UTF8.self)
            #expect(answer.hasPrefix("HTTP/1.1 200 OK"))
            #expect(answer.hasSuffix("/health"))
        }
        // And a preface in pieces is HTTP/2.
        let peer = try RawPeer(port: server.port)
        for byte in RawPeer.preface { peer.send([byte]) }
        peer.sendFrame(RawPeer.settings, 0, 0, [])
        peer.sendRequest(1)
        #expect(peer.answer(on: 1)?.grpcStatus == "0")
        try await server.stop()
    }

    @Test func `what is neither HTTP1 nor HTTP2 is closed, and so is who says nothing`() async throws {
        try await TestServer.with({ $0.http2.firstBytesTimeout = .milliseconds(100) }) { server in
            for bytes: [UInt8] in [[0x16, 3, 1, 2, 0], [0], Array("PRI * HTTP/9".utf8), [], Array("PRI * HT".utf8)] {
                let peer = try RawPeer(port: server.port)
                peer.send(bytes)
                #expect(peer.readAll(timeoutMilliseconds: 2000) == [])
                #expect(peer.isClosed)
            }
        }
    }

    @Test func `HTTP2 requests that are not gRPC's can be served beside it`() async throws {
        let server = try await TestServer(plainHTTP: { request in
            var body = ByteBuffer(string: "\(request.method) \(request.path) ")
            body.writeImmutableBuffer(request.body)
            request.respond(status: 404, fields: [("content-type", "text/plain")], body: body)
        })
        let peer = try RawPeer.ready(server.port)
        peer.sendRequest(
            1, [(":method", "GET"), (":scheme", "http"), (":path", "/health"), (":authority", "x")], body: nil)
        let answer = peer.answer(on: 1)
        #expect(answer?.httpStatus == "404")
        #expect(answer.map { String(decoding: $0.body, as: UTF8.self) } == "GET /health ")
        peer.sendRequest(
            3,
            [
                (":method", "POST"), (":scheme", "http"), (":path", "/v3/kv/put"), (":authority", "x"),
                ("content-type", "application/json"),
            ],
            body: Array("{}".utf8))
        #expect(peer.answer(on: 3).map { String(decoding: $0.body, as: UTF8.self) } == "POST /v3/kv/put {}")
        peer.sendRequest(5)
        #expect(peer.answer(on: 5)?.grpcStatus == "0")
        try await server.stop()
    }

    private static func get(_ path: String) -> [(String, String)] {
        [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "x")]
    }

    @Test func `plain answers may go piece by piece, as fast as the client takes them`() async throws {
        let piece = ByteBuffer(repeating: 7, count: 100_000)
        let written = Atomic(0)
        let pending = Atomic(0)
        let server = try await TestServer(plainHTTP: { request in
            request.begin(status: 200, fields: [("x-kind", "pieces")])
            @Sendable func write() {
                guard written.load(ordering: .relaxed) < 20 else { return request.end() }
                written.add(1, ordering: .relaxed)
                request.write(piece)
                let waiting = request.pendingBytes
                if waiting > pending.load(ordering: .relaxed) { pending.store(waiting, ordering: .relaxed) }
                request.whenPendingBytes(atMost: 50_000, write)
            }
            write()
        })
        let peer = try RawPeer.ready(server.port)
        peer.sendRequest(1, Self.get("/pieces"), body: nil)
        // The window takes 65,535 bytes; the rest of the first piece and the second wait, and no third is made.
        let first = try #require(peer.frames { $0.type == RawPeer.data })
        try await Task.sleep(for: .milliseconds(100))
        #expect(written.load(ordering: .relaxed) == 2 && first.allSatisfy { $0.stream == 0 || $0.flags & 1 == 0 })
        peer.sendFrame(RawPeer.windowUpdate, 0, 0, RawPeer.number(1 << 24))
        peer.sendFrame(RawPeer.windowUpdate, 0, 1, RawPeer.number(1 << 24))
        var bytes = first.reduce(0) { $0 + ($1.type == RawPeer.data ? $1.payload.count : 0) }
        let rest = try #require(peer.frames { $0.stream == 1 && $0.flags & 1 != 0 })
        bytes += rest.reduce(0) { $0 + ($1.type == RawPeer.data ? $1.payload.count : 0) }
        #expect(bytes == 20 * 100_000)
        #expect(pending.load(ordering: .relaxed) <= 150_000)
        try await server.stop()
    }

    @Test func `a plain answer that cannot be ended is reset, and one whose client is gone is told`() async throws {
        let cancelled = Atomic(0)
        let server = try await TestServer(plainHTTP: { request in
            request.onCancel { cancelled.add(1, ordering: .relaxed) }
            request.begin(status: 200, fields: [])
            request.write(ByteBuffer(string: "a part"))
            if request.path == "/aborted" { request.abort() }
            // Neither a second head nor a whole answer can follow.
            request.begin(status: 500, fields: [])
            request.respond(status: 500, fields: [], body: ByteBuffer(string: "no"))
        })
        let peer = try RawPeer.ready(server.port)
        peer.sendRequest(1, Self.get("/aborted"), body: nil)
        #expect(peer.frames { $0.type == RawPeer.rst && $0.stream == 1 }?.last?.errorCode == 2)
        peer.sendRequest(3, Self.get("/kept"), body: nil)
        _ = try #require(peer.frames { $0.type == RawPeer.data && $0.stream == 3 })
        #expect(cancelled.load(ordering: .relaxed) == 0)
        peer.sendFrame(RawPeer.rst, 0, 3, RawPeer.number(8))
        for _ in 0..<200 where cancelled.load(ordering: .relaxed) == 0 {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(cancelled.load(ordering: .relaxed) == 1)
        try await server.stop()
    }
}

final class HTTP1Answer: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let head) = unwrapInboundIn(data) else { return }
        let body = ByteBuffer(string: head.uri)
        context.write(
            wrapOutboundOut(
                .head(
                    HTTPResponseHead(
                        version: .http1_1, status: .ok, headers: ["content-length": "\(body.readableBytes)"]))),
            promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
    }
}
