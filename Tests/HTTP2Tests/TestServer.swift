import Glibc
import HTTP2
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// A server on a port of its own, with methods that tests need.
final class TestServer: Sendable {
    /// What happened to streaming calls.
    final class Journal: Sendable {
        private let entries = Mutex<[String]>([])
        func add(_ entry: String) { entries.withLock { $0.append(entry) } }
        var all: [String] { entries.withLock { $0 } }
        /// Waits, for a bounded time, until there are so many of an entry.
        func wait(for entry: String, count: Int = 1) async -> Bool {
            for _ in 0..<500 {
                if all.count(where: { $0 == entry }) >= count { return true }
                try? await Task.sleep(for: .milliseconds(10))
            }
            return false
        }
    }

    static let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)

    let server: GRPCServer
    let channel: any Channel
    let journal: Journal
    var port: Int { channel.localAddress!.port! }

    init(
        _ change: (inout GRPCServer.Options) -> Void = { _ in },
        configureHTTP1: (@Sendable (any Channel) -> EventLoopFuture<Void>)? = nil,
        plainHTTP: (@Sendable (HTTP2PlainRequest) -> Void)? = nil
    ) async throws {
        var options = GRPCServer.Options()
        change(&options)
        let journal = Journal()
        self.journal = journal
        server = GRPCServer(methods: Self.methods(journal), options: options, plainHTTP: plainHTTP)
        channel = try await SharedPort(server: server, configureHTTP1: configureHTTP1)
            .listen(host: "127.0.0.1", port: 0, on: Self.group).get()
    }

    func connect(_ change: (inout GRPCClientConnection.Options) -> Void = { _ in }) async throws -> GRPCClientConnection
    {
        var options = GRPCClientConnection.Options()
        change(&options)
        return try await GRPCClientConnection.connect(
            host: "127.0.0.1", port: port, on: Self.group, options: options
        ).get()
    }

    func counters(_ path: String) async -> GRPCMethodCounters {
        await server.counters().first { $0.path == path }!
    }

    func stop() async throws { try await channel.close() }

    /// Runs with a server and closes its port afterwards.
    static func with<Result>(
        _ change: (inout GRPCServer.Options) -> Void = { _ in }, _ body: (TestServer) async throws -> Result
    ) async throws -> Result {
        let server = try await TestServer(change)
        do {
            let result = try await body(server)
            try await server.stop()
            return result
        } catch {
            try? await server.stop()
            throw error
        }
    }

    static func methods(_ journal: Journal) -> GRPCMethods {
        var methods = GRPCMethods()
        methods.register("/test.Echo/Unary", .unary { call, message in call.reply(message) })
        methods.register(
            "/test.Echo/Later",
            .unary { call, message in
                call.eventLoop.scheduleTask(in: .milliseconds(20)) { call.reply { $0.writeImmutableBuffer(message) } }
            })
        methods.register(
            "/test.Echo/Never",
            .unary { call, _ in
                journal.add("begun")
                call.onCancel { journal.add("cancelled") }
            })
        methods.register(
            "/test.Echo/Fail",
            .unary { call, _ in
                call.finish(GRPCStatus(.outOfRange, "etcdserver: 100% größer\n", details: [8, 11, 255]))
            })
        methods.register(
            "/test.Echo/Metadata",
            .unary { call, _ in
                call.reply { $0.writeString("\(call.metadata("token") ?? "none") \(call.path)") }
            })
        // Answers with as many bytes as the message says.
        methods.register(
            "/test.Echo/Bytes",
            .unary { call, message in
                var message = message
                let count = Int(message.readInteger(as: UInt32.self) ?? 0)
                call.reply(ByteBuffer(repeating: 7, count: count))
            })
        methods.register("/test.Echo/Stream", .streaming { EchoReceiver($0, journal) })
        // Sends as many messages of 1,000 bytes as the first message says, as fast as the client takes them.
        methods.register("/test.Echo/Pour", .streaming { PourReceiver($0, journal) })
        // Never reads on.
        methods.register(
            "/test.Echo/Pause",
            .streaming { call in
                call.pauseReading()
                return EchoReceiver(call, journal)
            })
        return methods
    }
}

final class EchoReceiver: GRPCStreamReceiver {
    let call: GRPCCall
    let journal: TestServer.Journal

    init(_ call: GRPCCall, _ journal: TestServer.Journal) {
        self.call = call
        self.journal = journal
        journal.add("opened")
    }

    func onMessage(_ message: ByteBuffer) {
        if message.getString(at: message.readerIndex, length: message.readableBytes) == "stop" {
            call.finish(GRPCStatus(.aborted, "stopped"))
        } else {
            call.send(message)
        }
    }
    func onHalfClose() { call.finish(.ok) }
    func onCancel() { journal.add("cancelled") }
}

final class PourReceiver: GRPCStreamReceiver {
    static let queueBytesMax = 64 << 10
    let call: GRPCCall
    let journal: TestServer.Journal
    var left = 0

    init(_ call: GRPCCall, _ journal: TestServer.Journal) {
        self.call = call
        self.journal = journal
    }

    func onMessage(_ message: ByteBuffer) {
        left = Int(message.getInteger(at: message.readerIndex, as: UInt32.self) ?? 0)
        pour()
    }

    func pour() {
        while left > 0, call.pendingBytes < Self.queueBytesMax {
            left -= 1
            call.send { $0.writeRepeatingByte(UInt8(truncatingIfNeeded: left), count: 1000) }
        }
        if left == 0 {
            call.finish(.ok)
        } else {
            journal.add("waits")
            call.whenPendingBytes(atMost: Self.queueBytesMax / 2) { self.pour() }
        }
    }
    func onHalfClose() {}
    func onCancel() { journal.add("cancelled") }
}
