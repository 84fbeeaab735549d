import Foundation
import HTTP2
import NIOCore
import NIOPosix
import Synchronization

@testable import MartletServer

/// A gateway in front of services that tests need, on a port of its own.
final class GatewayFixture: Sendable {
    static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// What happened to the services' calls.
    final class Journal: Sendable {
        private let entries = Mutex<[String]>([])
        func add(_ entry: String) { entries.withLock { $0.append(entry) } }
        var all: [String] { entries.withLock { $0 } }
        /// Waits, for a bounded time, until there is an entry.
        func wait(for entry: String) async -> Bool {
            for _ in 0..<500 {
                if all.contains(entry) { return true }
                try? await Task.sleep(for: .milliseconds(10))
            }
            return false
        }
    }

    let journal = Journal()
    let gateway: Gateway
    let http: HTTP1Server
    let grpc: GRPCServer
    let channel: any Channel
    var port: Int { channel.localAddress?.port ?? 0 }

    init(
        _ changeLimits: (inout GatewayLimits) -> Void = { _ in }, _ changeHTTP: (inout HTTP1Limits) -> Void = { _ in },
        requestTimeout: TimeAmount = .seconds(5)
    ) async throws {
        var limits = GatewayLimits()
        limits.deadlineAllowance = .zero
        changeLimits(&limits)
        var httpLimits = HTTP1Limits()
        changeHTTP(&httpLimits)
        let gateway = Gateway(
            eventLoops: Array(Self.group.makeIterator()), limits: limits, requestTimeout: requestTimeout)
        self.gateway = gateway
        var router = PlainRouter(access: AccessRules())
        gateway.register(in: &router)
        let http = HTTP1Server(router: router, limits: httpLimits)
        self.http = http
        let routes = router
        let grpc = GRPCServer(methods: Self.methods(journal)) { request in
            HTTP2Exchange.serve(request, by: routes)
        }
        self.grpc = grpc
        gateway.start(grpc)
        let port = SharedPort(server: grpc) { channel in
            channel.eventLoop.makeCompletedFuture { try http.configure(channel) }
        }
        channel = try await port.listen(host: "127.0.0.1", port: 0, on: Self.group).get()
    }

    func stop() async throws {
        try await channel.close()
        http.drain()
        grpc.drain(deadline: .now())
    }

    /// Requests and answers of the services are of the right kind as far as they go: all of their fields are optional.
    private static func methods(_ journal: Journal) -> GRPCMethods {
        var methods = GRPCMethods()
        methods.register("/etcdserverpb.KV/Put", .unary { call, _ in call.reply(ByteBuffer()) })
        methods.register(
            "/etcdserverpb.KV/Range",
            .unary { call, message in
                // The request's `limit` (field 3) says how late the answer comes, in ms; `count` (4) is it.
                let delay = message.readableBytes >= 2 ? Int(message.getInteger(at: 1, as: UInt8.self) ?? 0) : 0
                call.eventLoop.scheduleTask(in: .milliseconds(Int64(delay))) {
                    call.reply(ByteBuffer(bytes: [4 << 3, UInt8(delay)]))
                }
            })
        methods.register(
            "/etcdserverpb.KV/Txn",
            .unary { call, _ in
                journal.add("begun \(call.metadata("authorization") ?? "-") \(call.metadata("hasleader") ?? "-")")
                call.onCancel { journal.add("cancelled") }
            })
        methods.register(
            "/etcdserverpb.KV/Compact",
            .unary { call, _ in call.finish(GRPCStatus(.outOfRange, "etcdserver: mvcc: \"x\"\n")) })
        methods.register("/etcdserverpb.Watch/Watch", .streaming { EchoWatch($0, journal) })
        methods.register("/etcdserverpb.Lease/LeaseKeepAlive", .streaming { EchoWatch($0, journal) })
        methods.register("/etcdserverpb.Maintenance/Snapshot", .streaming { PouringSnapshot($0, journal) })
        methods.register(
            "/v3electionpb.Election/Observe",
            .streaming { call in
                call.finish(GRPCStatus(.failedPrecondition, "election: no leader"))
                return EchoWatch(call, journal)
            })
        return methods
    }
}

/// Answers each message with one whose `watch_id` is its size, and ends when the client has.
private final class EchoWatch: GRPCStreamReceiver {
    private let call: GRPCCall
    private let journal: GatewayFixture.Journal

    init(_ call: GRPCCall, _ journal: GatewayFixture.Journal) {
        self.call = call
        self.journal = journal
    }

    func onMessage(_ message: ByteBuffer) {
        journal.add("message \(message.readableBytes)")
        call.send(ByteBuffer(bytes: [2 << 3, UInt8(message.readableBytes)]))
    }

    func onHalfClose() {
        journal.add("half-closed")
        call.finish(.ok)
    }

    func onCancel() { journal.add("cancelled") }
}

/// Sends chunks of 32 KiB, as fast as they are taken, and counts them.
private final class PouringSnapshot: GRPCStreamReceiver {
    static let chunks = 4_000
    private let call: GRPCCall
    private let journal: GatewayFixture.Journal
    private var sent = 0

    init(_ call: GRPCCall, _ journal: GatewayFixture.Journal) {
        self.call = call
        self.journal = journal
    }

    func onMessage(_ message: ByteBuffer) { pour() }

    private func pour() {
        while sent < Self.chunks {
            guard call.pendingBytes <= 64 << 10 else {
                return call.whenPendingBytes(atMost: 32 << 10) { [self] in pour() }
            }
            // `blob`, field 3: 32 KiB.
            var chunk = ByteBuffer(bytes: [3 << 3 | 2, 0x80, 0x80, 0x02])
            chunk.writeRepeatingByte(0x61, count: 32 << 10)
            call.send(chunk)
            sent += 1
            journal.add("chunk")
        }
        call.finish(.ok)
    }

    func onHalfClose() {}
    func onCancel() { journal.add("cancelled") }
}

/// One blocking connection of a client.
final class RawClient {
    private let descriptor: Int32
    private var buffered: [UInt8] = []

    struct Closed: Error {}

    init(port: Int, receiveBufferBytes: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var size = receiveBufferBytes {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Closed() }
    }

    deinit { close(descriptor) }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    func post(_ path: String, _ body: String, fields: String = "") {
        send("POST \(path) HTTP/1.1\r\nHost: x\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    /// The beginning of a request whose body comes in chunks.
    func beginPost(_ path: String, fields: String = "") {
        send("POST \(path) HTTP/1.1\r\nHost: x\r\n\(fields)Transfer-Encoding: chunked\r\n\r\n")
    }

    func sendChunk(_ text: String) { send(String(text.utf8.count, radix: 16) + "\r\n" + text + "\r\n") }

    private func fill() throws {
        var part = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &part, part.count, 0)
        guard count > 0 else { throw Closed() }
        buffered += part[..<count]
    }

    func line() throws -> String {
        while true {
            if let end = buffered.firstIndex(of: UInt8(ascii: "\n")) {
                let line = buffered[..<end]
                buffered.removeSubrange(...end)
                return String(decoding: line, as: UTF8.self).trimmingCharacters(in: ["\r"])
            }
            try fill()
        }
    }

    private func bytes(_ count: Int) throws -> String {
        while buffered.count < count { try fill() }
        defer { buffered.removeFirst(count) }
        return String(decoding: buffered[..<count], as: UTF8.self)
    }

    struct Head {
        var status: Int
        var fields: [String: String]
    }

    func head() throws -> Head {
        let status = Int(try line().split(separator: " ")[1]) ?? 0
        var fields: [String: String] = [:]
        while true {
            let line = try line()
            if line.isEmpty { return Head(status: status, fields: fields) }
            let parts = line.split(separator: ":", maxSplits: 1)
            fields[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
        }
    }

    /// One chunk of an answer; empty for the last one.
    func chunk() throws -> String {
        let size = Int(try line(), radix: 16) ?? 0
        let text = try bytes(size)
        _ = try line()
        return text
    }

    /// A whole answer with a length.
    func answer() throws -> (status: Int, body: String) {
        let head = try head()
        return (head.status, try bytes(Int(head.fields["content-length"] ?? "") ?? 0))
    }

    /// Whether the server closes, within the time that reading takes at most.
    var isClosed: Bool {
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, 0) == 0 || errno == ECONNRESET
    }
}
