import Glibc
import NIOCore
import NIOPosix
import Testing

@testable import HTTP2

@Suite struct ClientTests {
    @Test func `a call of a task that was cancelled before ends at once`() async throws {
        try await TestServer.with { server in
            let client = try await server.connect()
            for _ in 0..<50 {
                let task = Task {
                    withUnsafeCurrentTask { $0?.cancel() }
                    return try await client.unary("/test.Echo/Unary", ByteBuffer(string: "never"))
                }
                let result = await task.result
                #expect(throws: GRPCStatus.self) { try result.get() }
            }
            client.close()
        }
    }

    /// A server's SETTINGS are on their way as soon as it has accepted. (They were lost where the socket was read
    /// before the handler that takes them was there.)
    @Test func `a server that speaks first is heard, however late the client is ready`() async throws {
        try await TestServer.with { server in
            for _ in 0..<20 {
                let clients = try await withThrowingTaskGroup { tasks in
                    for _ in 0..<20 { tasks.addTask { try await server.connect() } }
                    return try await tasks.reduce(into: []) { $0.append($1) }
                }
                for client in clients {
                    let answer = try await client.unary("/test.Echo/Unary", ByteBuffer(string: "heard"))
                    #expect(answer == ByteBuffer(string: "heard"))
                    client.close()
                }
            }
        }
    }

    @Test func `unary calls, one and many, small and large`() async throws {
        try await TestServer.with({ $0.messageBytesMax = 8 << 20 }) { server in
            let client = try await server.connect()
            #expect(try await client.unary("/test.Echo/Unary", ByteBuffer()) == ByteBuffer())
            for size in [1, 16_379, 16_384, 100_000, 5 << 20] {
                let message = ByteBuffer(repeating: 3, count: size)
                #expect(try await client.unary("/test.Echo/Unary", message) == message)
            }
            try await withThrowingTaskGroup(of: Bool.self) { tasks in
                for number in 0..<500 {
                    tasks.addTask {
                        try await client.unary("/test.Echo/Later", ByteBuffer(integer: number))
                            == ByteBuffer(integer: number)
                    }
                }
                for try await right in tasks { #expect(right) }
            }
            client.close()
        }
    }

    @Test func `a status comes with its message, percent-decoded, and its details`() async throws {
        try await TestServer.with { server in
            let client = try await server.connect()
            let error = await #expect(throws: GRPCStatus.self) {
                try await client.unary("/test.Echo/Fail", ByteBuffer())
            }
            #expect(error == GRPCStatus(.outOfRange, "etcdserver: 100% größer\n", details: [8, 11, 255]))
            client.close()
        }
    }

    @Test func `metadata reaches the service, repeated or new each time`() async throws {
        try await TestServer.with { server in
            let client = try await server.connect()
            for token in ["a", "a", "b", "a", String(repeating: "long", count: 1000)] {
                let answer = try await client.unary("/test.Echo/Metadata", ByteBuffer(), metadata: [("token", token)])
                #expect(String(buffer: answer) == "\(token) /test.Echo/Metadata")
            }
            #expect(
                String(buffer: try await client.unary("/test.Echo/Metadata", ByteBuffer()))
                    == "none /test.Echo/Metadata")
            client.close()
        }
    }

    @Test func `a stream carries messages both ways, and ends with a status`() async throws {
        try await TestServer.with { server in
            let client = try await server.connect()
            let (call, messages) = client.stream("/test.Echo/Stream")
            for text in ["one", "two", ""] { call.send(ByteBuffer(string: text)) }
            call.halfClose()
            var received: [String] = []
            for try await message in messages { received.append(String(buffer: message)) }
            #expect(received == ["one", "two", ""])

            let (second, answers) = client.stream("/test.Echo/Stream")
            second.send(ByteBuffer(string: "one"))
            second.send(ByteBuffer(string: "stop"))
            var iterator = answers.makeAsyncIterator()
            #expect(try await iterator.next() == ByteBuffer(string: "one"))
            await #expect(throws: GRPCStatus(.aborted, "stopped")) { try await iterator.next() }
            client.close()
        }
    }

    @Test func `a slow reader holds the server back, and loses nothing`() async throws {
        try await TestServer.with { server in
            let client = try await server.connect {
                $0.http2.streamWindowBytes = 65_535
                $0.unreadBytesMax = 100_000
            }
            let (call, messages) = client.stream("/test.Echo/Pour")
            call.send(ByteBuffer(integer: UInt32(5000)))
            #expect(await server.journal.wait(for: "waits"))
            try await Task.sleep(for: .milliseconds(100))
            let sent = await server.counters("/test.Echo/Pour").messagesSent
            #expect(sent < 500, "\(sent) messages for a reader that has read none")
            var expected = 5000
            for try await message in messages {
                expected -= 1
                #expect(message == ByteBuffer(repeating: UInt8(truncatingIfNeeded: expected), count: 1000))
            }
            #expect(expected == 0)
            client.close()
        }
    }

    @Test func `a stream that is not read does not stop the others`() async throws {
        try await TestServer.with { server in
            let client = try await server.connect { $0.unreadBytesMax = 10_000 }
            let (call, messages) = client.stream("/test.Echo/Pour")
            call.send(ByteBuffer(integer: UInt32(100_000)))
            #expect(await server.journal.wait(for: "waits"))
            for _ in 0..<20 {
                let answer = try await client.unary("/test.Echo/Bytes", ByteBuffer(integer: UInt32(1 << 20)))
                #expect(answer.readableBytes == 1 << 20)
            }
            call.cancel()
            #expect(await server.journal.wait(for: "cancelled"))
            _ = messages
            client.close()
        }
    }

    @Test func `deadlines pass on both sides`() async throws {
        try await TestServer.with { server in
            let client = try await server.connect()
            let start = ContinuousClock.now
            await #expect(throws: GRPCStatus(.deadlineExceeded, "context deadline exceeded")) {
                try await client.unary("/test.Echo/Never", ByteBuffer(), timeout: .milliseconds(60))
            }
            #expect(ContinuousClock.now - start >= .milliseconds(60))
            #expect(await server.journal.wait(for: "cancelled"))
            await #expect(throws: GRPCStatus.self) {
                try await client.unary("/test.Echo/Unary", ByteBuffer(), timeout: .zero)
            }
            // A deadline that does not pass is no hindrance.
            for _ in 0..<100 {
                _ = try await client.unary("/test.Echo/Unary", ByteBuffer(), timeout: .hours(1 << 20))
            }
            client.close()
        }
    }

    @Test func `a cancelled task cancels its call`() async throws {
        try await TestServer.with { server in
            let client = try await server.connect()
            let task = Task { try await client.unary("/test.Echo/Never", ByteBuffer()) }
            #expect(await server.journal.wait(for: "begun"))
            task.cancel()
            await #expect(throws: GRPCStatus(.cancelled, "context canceled")) { try await task.value }
            #expect(await server.journal.wait(for: "cancelled"))
            client.close()
        }
    }

    @Test func `a message larger than the client takes ends the call`() async throws {
        try await TestServer.with { server in
            let client = try await server.connect { $0.messageBytesMax = 1000 }
            let error = await #expect(throws: GRPCStatus.self) {
                try await client.unary("/test.Echo/Bytes", ByteBuffer(integer: UInt32(1001)))
            }
            #expect(error?.code == .resourceExhausted)
            #expect(try await client.unary("/test.Echo/Bytes", ByteBuffer(integer: UInt32(1000))).readableBytes == 1000)
            client.close()
        }
    }

    @Test func `a request larger than the server takes gets its status`() async throws {
        try await TestServer.with({ $0.messageBytesMax = 528_384 }) { server in
            let client = try await server.connect()
            for size in [600_007, 20 << 20] {
                let error = await #expect(throws: GRPCStatus.self) {
                    try await client.unary("/test.Echo/Unary", ByteBuffer(repeating: 0, count: size))
                }
                #expect(
                    error
                        == GRPCStatus(.resourceExhausted, "grpc: received message larger than max (\(size) vs. 528384)")
                )
            }
            client.close()
        }
    }

    @Test func `when the connection is lost, all calls fail with UNAVAILABLE, and so do new ones`() async throws {
        try await TestServer.with { server in
            let client = try await server.connect()
            let tasks = (0..<10).map { _ in Task { try await client.unary("/test.Echo/Never", ByteBuffer()) } }
            #expect(await server.journal.wait(for: "begun", count: 10))
            client.close()
            for task in tasks {
                let error = await #expect(throws: GRPCStatus.self) { try await task.value }
                #expect(error?.code == .unavailable)
            }
            let error = await #expect(throws: GRPCStatus.self) {
                try await client.unary("/test.Echo/Unary", ByteBuffer())
            }
            #expect(error?.code == .unavailable)
            #expect(await server.journal.wait(for: "cancelled", count: 10))
        }
    }

    @Test func `a drained server lets calls end, takes no new ones, and closes`() async throws {
        try await TestServer.with { server in
            let client = try await server.connect()
            let (call, messages) = client.stream("/test.Echo/Stream")
            #expect(await server.journal.wait(for: "opened"))
            server.server.drain(deadline: .now() + .seconds(10))
            for _ in 0..<500 {
                if await !client.isOpenNow { break }
                try await Task.sleep(for: .milliseconds(5))
            }
            let error = await #expect(throws: GRPCStatus.self) {
                try await client.unary("/test.Echo/Unary", ByteBuffer())
            }
            #expect(error?.code == .unavailable)
            call.send(ByteBuffer(string: "still"))
            var iterator = messages.makeAsyncIterator()
            #expect(try await iterator.next() == ByteBuffer(string: "still"))
            call.halfClose()
            #expect(try await iterator.next() == nil)
            _ = try await client.closed.get()
            for _ in 0..<300 where server.server.connectionCount > 0 { try await Task.sleep(for: .milliseconds(10)) }
            #expect(server.server.connectionCount == 0)
        }
    }

    @Test func `a drain ends at its deadline`() async throws {
        try await TestServer.with { server in
            let client = try await server.connect()
            let task = Task { try await client.unary("/test.Echo/Never", ByteBuffer()) }
            #expect(await server.journal.wait(for: "begun"))
            server.server.drain(deadline: .now() + .milliseconds(100))
            let error = await #expect(throws: GRPCStatus.self) { try await task.value }
            #expect(error?.code == .unavailable)
            #expect(await server.journal.wait(for: "cancelled"))
        }
    }

    @Test func `a drained client closes when its calls have ended`() async throws {
        try await TestServer.with { server in
            let client = try await server.connect()
            async let answer = client.unary("/test.Echo/Later", ByteBuffer(string: "x"))
            try await Task.sleep(for: .milliseconds(5))
            client.drain(deadline: .now() + .seconds(5))
            #expect(try await answer == ByteBuffer(string: "x"))
            _ = try await client.closed.get()
        }
    }

    @Test func `a peer that has fallen silent is found out by keep-alive`() async throws {
        // A listener that never answers anything.
        let silent = try await ServerBootstrap(group: TestServer.group)
            .childChannelOption(.autoRead, value: false).bind(host: "127.0.0.1", port: 0).get()
        var options = GRPCClientConnection.Options()
        options.http2.keepAliveInterval = .milliseconds(50)
        options.http2.keepAliveTimeout = .milliseconds(50)
        let client = try await GRPCClientConnection.connect(
            host: "127.0.0.1", port: silent.localAddress!.port!, on: TestServer.group, options: options
        ).get()
        let error = await #expect(throws: GRPCStatus.self) { try await client.unary("/test.Echo/Unary", ByteBuffer()) }
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains("keep-alive") == true)
        try await silent.close()
    }

    @Test func `keep-alive leaves a living connection alone, on both sides`() async throws {
        try await TestServer.with({
            $0.http2.keepAliveInterval = .milliseconds(20)
            $0.http2.keepAliveTimeout = .seconds(5)
        }) { server in
            let client = try await server.connect {
                $0.http2.keepAliveInterval = .milliseconds(250)
                $0.http2.keepAliveTimeout = .seconds(5)
            }
            try await Task.sleep(for: .milliseconds(800))
            #expect(try await client.unary("/test.Echo/Unary", ByteBuffer(string: "x")) == ByteBuffer(string: "x"))
            client.close()
        }
    }

    @Test func `an answer that is not gRPC's becomes a status`() async throws {
        let port = try await TestServer(plainHTTP: {
            $0.respond(status: 503, fields: [], body: ByteBuffer(string: "no"))
        })
        let peer = try await port.connect { $0.userAgent = "x" }
        // Served as gRPC: not plain. An unknown method is.
        let error = await #expect(throws: GRPCStatus.self) { try await peer.unary("/nobody/Home", ByteBuffer()) }
        #expect(error == GRPCStatus(.unimplemented, "unknown service nobody"))
        #expect(GRPCStatus(httpStatus: 503).code == .unavailable)
        #expect(GRPCStatus(httpStatus: 404).code == .unimplemented)
        peer.close()
        try await port.stop()
    }
}

extension GRPCClientConnection {
    fileprivate var isOpenNow: Bool {
        get async { (try? await eventLoop.submit { self.isOpen }.get()) ?? false }
    }
}
