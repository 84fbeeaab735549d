import Glibc
import HTTP2
import NIOCore
import Synchronization
import Testing

/// The client against servers that answer by hand.
@Suite struct RawServerTests {
    /// Listens, takes one connection, and runs a script on it once the first request is complete.
    final class RawServer {
        let port: Int
        private let descriptor: Int32

        init() throws {
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let descriptor = descriptor
            let result = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    bind(descriptor, address, length) == 0 && listen(descriptor, 10) == 0
                        && getsockname(descriptor, address, &length) == 0
                }
            }
            guard result else { throw IOError(errnoCode: errno, reason: "listen") }
            port = Int(UInt16(bigEndian: address.sin_port))
        }

        deinit { Glibc.close(descriptor) }

        /// The connection, after the request on stream 1.
        func accept() throws -> RawPeer {
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard Glibc.poll(&poll, 1, 3000) == 1 else { throw IOError(errnoCode: ETIMEDOUT, reason: "accept") }
            let peer = RawPeer(descriptor: Glibc.accept(descriptor, nil, nil))
            peer.drop(RawPeer.preface.count)
            peer.send(RawPeer.bytes(RawPeer.settings, 0, 0, []) + RawPeer.bytes(RawPeer.settings, RawPeer.ack, 0, []))
            _ = peer.frames { $0.stream == 1 && $0.flags & RawPeer.endStream != 0 }
            return peer
        }
    }

    struct Script: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        let code: GRPCCode
        var message: String?
        var closes = false
        var testDescription: String { name }
    }

    static func headers(_ fields: [(String, String)], end: Bool = false) -> [UInt8] {
        RawPeer.bytes(RawPeer.headers, RawPeer.endHeaders | (end ? RawPeer.endStream : 0), 1, RawPeer.block(fields))
    }
    static let ok = headers([(":status", "200"), ("content-type", "application/grpc")])
    static func data(_ bytes: [UInt8]) -> [UInt8] { RawPeer.bytes(RawPeer.data, 0, 1, bytes) }
    static func trailers(_ status: String, _ message: String = "") -> [UInt8] {
        headers([("grpc-status", status), ("grpc-message", message)], end: true)
    }
    static func reset(_ code: UInt32) -> [UInt8] { RawPeer.bytes(RawPeer.rst, 0, 1, RawPeer.number(code)) }

    static let scripts = [
        Script(name: "a good answer", bytes: ok + data(RawPeer.message([1])) + trailers("0"), code: .ok),
        Script(
            name: "a good answer after an informational one",
            bytes: headers([(":status", "103")]) + ok + data(RawPeer.message([1])) + trailers("0"), code: .ok),
        Script(
            name: "a good answer, then a reset without an error",
            bytes: ok + data(RawPeer.message([1])) + trailers("0") + reset(0), code: .ok),
        Script(
            name: "trailers alone",
            bytes: headers(
                [
                    (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "5"),
                    ("grpc-message", "a%20b"),
                ],
                end: true), code: .notFound, message: "a b"),
        Script(name: "a status that does not exist", bytes: ok + trailers("99"), code: .unknown),
        Script(name: "a status that is no number", bytes: ok + trailers("x"), code: .unknown),
        Script(name: "no answer but OK", bytes: ok + trailers("0"), code: .internalError),
        Script(
            name: "two answers", bytes: ok + data(RawPeer.message([1]) + RawPeer.message([2])) + trailers("0"),
            code: .internalError),
        Script(name: "a compressed answer", bytes: ok + data(RawPeer.message([1], flag: 1)), code: .internalError),
        Script(
            name: "an end without trailers",
            bytes: ok + RawPeer.bytes(RawPeer.data, RawPeer.endStream, 1, RawPeer.message([1])),
            code: .internalError),
        Script(name: "HTTP 503", bytes: headers([(":status", "503")], end: true), code: .unavailable),
        Script(
            name: "HTTP 404 with a page",
            bytes: headers([(":status", "404"), ("content-type", "text/html")]) + data([60, 62]), code: .unimplemented),
        Script(
            name: "another content type", bytes: headers([(":status", "200"), ("content-type", "text/html")]),
            code: .unknown),
        Script(name: "a reset: refused", bytes: reset(7), code: .unavailable),
        Script(name: "a reset: cancelled", bytes: ok + reset(8), code: .cancelled),
        Script(name: "a reset: calm down", bytes: reset(11), code: .resourceExhausted),
        Script(name: "a reset: internal", bytes: reset(2), code: .internalError),
        Script(name: "a reset after a status", bytes: ok + reset(0), code: .internalError),
        Script(
            name: "GOAWAY that names an earlier stream",
            bytes: RawPeer.bytes(RawPeer.goAway, 0, 0, RawPeer.number(0) + RawPeer.number(0)), code: .unavailable),
        Script(
            name: "the end of the connection", bytes: ok, code: .unavailable, closes: true),
        Script(name: "no HTTP/2", bytes: Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), code: .unavailable),
        Script(
            name: "a pushed stream",
            bytes: RawPeer.bytes(
                RawPeer.pushPromise, RawPeer.endHeaders, 1, RawPeer.number(2) + RawPeer.block([(":path", "/")])),
            code: .unavailable),
    ]

    @Test(arguments: scripts)
    func `whatever a server answers becomes a status`(_ script: Script) async throws {
        let server = try RawServer()
        let client = try await GRPCClientConnection.connect(host: "127.0.0.1", port: server.port, on: TestServer.group)
            .get()
        // No task: what follows blocks a thread that tasks share.
        let call = client.eventLoop.makePromise(of: Result<ByteBuffer, GRPCStatus>.self)
        client.unary("/x.X/Y", ByteBuffer(), timeout: .seconds(10)) { call.succeed($0) }
        let peer = try server.accept()
        peer.send(script.bytes)
        if script.closes { peer.close() }
        switch try await call.futureResult.get() {
        case .success(let answer):
            #expect(script.code == .ok)
            #expect(answer == ByteBuffer(bytes: [1]))
        case .failure(let status):
            #expect(status.code == script.code, "\(status)")
            if let message = script.message { #expect(status.message == message) }
        }
        client.close()
        _ = try await client.closed.get()
    }

    @Test func `random bytes from a server end the connection and no client`() async throws {
        var random = SplitMix64(state: 4)
        for _ in 0..<50 {
            let server = try RawServer()
            let client = try await GRPCClientConnection.connect(
                host: "127.0.0.1", port: server.port, on: TestServer.group
            ).get()
            let call = client.eventLoop.makePromise(of: Result<ByteBuffer, GRPCStatus>.self)
            client.unary("/x.X/Y", ByteBuffer(), timeout: .seconds(10)) { call.succeed($0) }
            let peer = try server.accept()
            var bytes = Self.ok + Self.data(RawPeer.message([1, 2, 3])) + Self.trailers("0")
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            peer.send(bytes)
            peer.close()
            _ = try await call.futureResult.get()
            _ = try await client.closed.get()
        }
    }

    final class Watcher: GRPCObserver {
        let events = Mutex<[String]>([])
        func callStarted(_ call: GRPCCall) { events.withLock { $0.append("started \(call.path)") } }
        func callEnded(_ call: GRPCCall, _ code: GRPCCode) {
            events.withLock { $0.append("ended \(call.path) \(code)") }
        }
    }

    @Test func `an observer is told of each call's beginning and end`() async throws {
        let watcher = Watcher()
        let server = GRPCServer(methods: TestServer.methods(TestServer.Journal()), observer: watcher)
        let channel = try await SharedPort(server: server).listen(host: "127.0.0.1", port: 0, on: TestServer.group)
            .get()
        let client = try await GRPCClientConnection.connect(
            host: "127.0.0.1", port: channel.localAddress!.port!, on: TestServer.group
        ).get()
        _ = try await client.unary("/test.Echo/Unary", ByteBuffer())
        _ = try? await client.unary("/test.Echo/Fail", ByteBuffer())
        _ = try? await client.unary("/test.Echo/None", ByteBuffer())
        _ = try? await client.unary("/test.Echo/Never", ByteBuffer(), timeout: .milliseconds(1))
        for _ in 0..<300 where watcher.events.withLock({ $0.count }) < 8 {
            try await Task.sleep(for: .milliseconds(10))
        }
        let events = watcher.events.withLock { $0 }
        #expect(
            events.prefix(7) == [
                "started /test.Echo/Unary", "ended /test.Echo/Unary ok", "started /test.Echo/Fail",
                "ended /test.Echo/Fail outOfRange", "started /test.Echo/None", "ended /test.Echo/None unimplemented",
                "started /test.Echo/Never",
            ])
        // Whose clock is first, the client's or ours, is open.
        #expect(["ended /test.Echo/Never cancelled", "ended /test.Echo/Never deadlineExceeded"].contains(events.last))
        client.close()
        try await channel.close()
    }
}
