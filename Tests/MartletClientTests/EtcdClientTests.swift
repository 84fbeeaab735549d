import EtcdAPI
import HTTP2
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import MartletClient

/// A server that answers each call with what the test says, and counts them.
private final class FakeServer: Sendable {
    enum Answer: Sendable {
        case message([UInt8])
        case status(GRPCStatus)
        case silence
    }

    let port: Int
    private let channel: any Channel
    private let server: GRPCServer
    private let recorder: Recorder

    private final class Recorder: Sendable {
        let paths = Mutex<[String]>([])
    }

    init(
        port: Int = 0, _ answer: @escaping @Sendable (_ path: String, _ request: [UInt8]) -> Answer
    ) async throws {
        let recorder = Recorder()
        var methods = GRPCMethods()
        for method in [EtcdMethod.range, .put, .deleteRange, .txn, .compact, .memberList, .status, .hashKV, .alarm] {
            methods.register(
                method.rawValue,
                .unary { call, message in
                    recorder.paths.withLock { $0.append(method.rawValue) }
                    switch answer(method.rawValue, Array(buffer: message)) {
                    case .message(let bytes): call.reply(ByteBuffer(bytes: bytes))
                    case .status(let status): call.finish(status)
                    case .silence: break
                    }
                })
        }
        let server = GRPCServer(methods: methods)
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(server.makeConnection(on: channel.eventLoop))
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        self.port = channel.localAddress!.port!
        self.recorder = recorder
        self.server = server
    }

    var paths: [String] { recorder.paths.withLock { $0 } }
    var endpoint: Endpoint { Endpoint(host: "127.0.0.1", port: port) }

    /// Closes the port and the connections.
    func stop() async {
        try? await channel.close()
        server.drain(deadline: .now())
        while server.connectionCount > 0 { try? await Task.sleep(for: .milliseconds(1)) }
    }
}

private let header = WireHeader(clusterID: 1, memberID: 2, revision: 3, raftTerm: 4)

/// Answers a range with one pair, everything else with a header.
private func answerWell(_ path: String, _ request: [UInt8]) -> FakeServer.Answer {
    guard path == EtcdMethod.range.rawValue else { return .message(WireHeaderOnlyResponse(header: header).encoded()) }
    let kv = WireKeyValue<[UInt8]>(key: [0x6b], createRevision: 1, modRevision: 2, version: 1, value: [0x76])
    return .message(WireRangeResponse(header: header, kvs: [kv], more: false, count: 1).encoded())
}

/// A port on which nobody listens: one that was listened on a moment ago.
private func deadEndpoint() async throws -> Endpoint {
    let server = try await FakeServer(answerWell)
    await server.stop()
    return server.endpoint
}

private func failure<Answer>(_ body: () async throws(ClientError) -> Answer) async -> ClientError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error
    }
}

@Suite(.timeLimit(.minutes(1)))
struct EtcdClientTests {
    private func options(_ milliseconds: Int64) -> EtcdClient.Options {
        var options = EtcdClient.Options()
        options.timeout = .milliseconds(milliseconds)
        options.retryPause = .milliseconds(5)
        return options
    }

    @Test func `every call has its answer`() async throws {
        let server = try await FakeServer(answerWell)
        let client = EtcdClient(endpoints: [server.endpoint])
        #expect(try await client.get("k")?.value == [0x76])
        #expect(try await client.put("k", "v").header == header)
        #expect(try await client.delete("k") == 0)
        #expect(try await client.txn(WireTxnRequest()).header == header)
        #expect(try await client.compact(WireCompactionRequest(revision: 1)).header == header)
        #expect(try await client.memberList().header.memberID == 2)
        #expect(try await client.status().header.raftTerm == 4)
        #expect(try await client.hashKV().header.revision == 3)
        #expect(try await client.alarmList().alarms.isEmpty)
        #expect(server.paths.count == 9)
        await client.shutdown()
        await server.stop()
    }

    @Test func `the request arrives as it was made`() async throws {
        let seen = Mutex<[UInt8]>([])
        let server = try await FakeServer { path, request in
            seen.withLock { $0 = request }
            return answerWell(path, request)
        }
        let client = EtcdClient(endpoints: [server.endpoint])
        var request = WirePutRequest<[UInt8]>(key: [1], value: [2], lease: 3)
        request.prevKV = true
        _ = try await client.put(request)
        #expect(seen.withLock { $0 } == request.encoded())
        await client.shutdown()
        await server.stop()
    }

    @Test func `etcd's errors are known by their texts, others by their codes`() async throws {
        let status = Mutex(GRPCStatus(.outOfRange, EtcdError.compacted.message))
        let server = try await FakeServer { _, _ in .status(status.withLock { $0 }) }
        let client = EtcdClient(endpoints: [server.endpoint])
        #expect(await failure { () throws(ClientError) in try await client.get("k") } == .etcd(.compacted))
        status.withLock { $0 = GRPCStatus(.unknown, "something else") }
        #expect(
            await failure { () throws(ClientError) in try await client.get("k") }
                == .status(.unknown, message: "something else"))
        await client.shutdown()
        await server.stop()
    }

    @Test func `a call goes to the next endpoint where the first cannot be connected to, a write too`() async throws {
        let server = try await FakeServer(answerWell)
        let client = EtcdClient(endpoints: [try await deadEndpoint(), server.endpoint])
        #expect(try await client.put("k", "v").header == header)
        #expect(try await client.get("k")?.value == [0x76])
        await client.shutdown()
        await server.stop()
    }

    @Test func `a read goes on to the next endpoint where one is not available, a write does not`() async throws {
        let ill = try await FakeServer { _, _ in .status(GRPCStatus(.unavailable, EtcdError.noLeader.message)) }
        let well = try await FakeServer(answerWell)
        let client = EtcdClient(endpoints: [ill.endpoint, well.endpoint])
        #expect(await failure { () throws(ClientError) in try await client.put("k", "v") } == .etcd(.noLeader))
        #expect(try await client.get("k")?.value == [0x76])
        #expect(ill.paths == [EtcdMethod.put.rawValue, EtcdMethod.range.rawValue])
        // It stays with the one that answered.
        #expect(try await client.put("k", "v").header == header)
        #expect(ill.paths.count == 2)
        await client.shutdown()
        await ill.stop()
        await well.stop()
    }

    @Test func `a read is tried again until the time is up, and the last reason is told`() async throws {
        let server = try await FakeServer { _, _ in .status(GRPCStatus(.unavailable, EtcdError.noLeader.message)) }
        let client = EtcdClient(endpoints: [server.endpoint], options: options(2_000))
        let start = ContinuousClock.now
        #expect(await failure { () throws(ClientError) in try await client.get("k") } == .etcd(.noLeader))
        #expect(start.duration(to: .now) < .seconds(20))
        #expect(server.paths.count > 2)
        await client.shutdown()
        await server.stop()
    }

    @Test func `where nobody can be reached, it is said of whom and why`() async throws {
        let endpoint = try await deadEndpoint()
        let client = EtcdClient(endpoints: [endpoint], options: options(2_000))
        let error = await failure { () throws(ClientError) in try await client.put("k", "v") }
        #expect(error == .unreachable([.init(endpoint: endpoint, reason: "connection refused")]))
        #expect(error?.description == "no endpoint can be reached (\(endpoint): connection refused)")
        await client.shutdown()
    }

    @Test func `a server that says nothing is left when the time is up`() async throws {
        let server = try await FakeServer { _, _ in .silence }
        let client = EtcdClient(endpoints: [server.endpoint], options: options(2_000))
        #expect(await failure { () throws(ClientError) in try await client.put("k", "v") } == .deadlineExceeded)
        await client.shutdown()
        await server.stop()
    }

    @Test func `an answer that cannot be read is an error`() async throws {
        let server = try await FakeServer { _, _ in .message([0x0a, 0xff]) }
        let client = EtcdClient(endpoints: [server.endpoint])
        #expect(
            await failure { () throws(ClientError) in try await client.get("k") } == .malformedAnswer(.truncated))
        #expect(
            await failure { () throws(ClientError) in try await client.status() } == .malformedAnswer(.truncated))
        await client.shutdown()
        await server.stop()
    }

    @Test func `a server that comes back is found again`() async throws {
        let before = try await FakeServer(answerWell)
        let client = EtcdClient(endpoints: [before.endpoint], options: options(5_000))
        #expect(try await client.get("k") != nil)
        await before.stop()
        let unreached = client.only(before.endpoint)
        #expect(
            await failure { () throws(ClientError) in
                try await EtcdClient(
                    endpoints: [before.endpoint], options: options(50)
                ).get("k")
            } == .unreachable([.init(endpoint: before.endpoint, reason: "connection refused")]))
        let after = try await FakeServer(port: before.port, answerWell)
        #expect(try await client.get("k") != nil)
        #expect(try await unreached.put("k", "v").header == header)
        await client.shutdown()
        await unreached.shutdown()
        await after.stop()
    }

    @Test func `a client that was shut down makes no more calls`() async throws {
        let server = try await FakeServer(answerWell)
        let client = EtcdClient(endpoints: [server.endpoint])
        #expect(try await client.get("k") != nil)
        await client.shutdown()
        #expect(await failure { () throws(ClientError) in try await client.get("k") } == .closed)
        #expect(server.paths.count == 1)
        await server.stop()
    }

    @Test func `a transaction of reads may be repeated, one with a write may not`() async throws {
        let server = try await FakeServer { _, _ in .status(GRPCStatus(.unavailable, "gone")) }
        let client = EtcdClient(endpoints: [server.endpoint], options: options(2_000))
        let read = WireTxnRequest<[UInt8]>(compare: [], success: [.range(WireRangeRequest(key: [1]))], failure: [])
        _ = await failure { () throws(ClientError) in try await client.txn(read) }
        #expect(server.paths.count > 1)
        let before = server.paths.count
        let write = WireTxnRequest<[UInt8]>(
            compare: [], success: [], failure: [.put(WirePutRequest(key: [1], value: [2]))])
        _ = await failure { () throws(ClientError) in try await client.txn(write) }
        #expect(server.paths.count == before + 1)
        await client.shutdown()
        await server.stop()
    }
}

struct EndpointTests {
    @Test(arguments: [
        ("127.0.0.1:2379", "127.0.0.1", 2379), ("http://node-a:1", "node-a", 1), ("http://node-a:1/", "node-a", 1),
        ("node-a", "node-a", 2379), ("[::1]:5", "::1", 5), ("[::1]", "::1", 2379), ("http://[::1]:5", "::1", 5),
    ])
    func `an endpoint is a host and a port`(text: String, host: String, port: Int) throws {
        let endpoint = try Endpoint(parsing: text)
        #expect(endpoint.host == host)
        #expect(endpoint.port == port)
        #expect(endpoint.text == text)
    }

    @Test(arguments: [
        "https://a:1", "unix:///x", "ftp://a:1", "a:x", "a:0", "a:65536", "a:-1", "", ":1", "[::1]x", "a b:1", "a:1/x",
    ])
    func `what is none is refused`(text: String) {
        #expect(throws: ClientError.self) { try Endpoint(parsing: text) }
    }

    @Test func `a list has commas, and each endpoint once`() throws {
        #expect(try Endpoint.list(parsing: "a:1, b:2,a:1").map(\.text) == ["a:1", "b:2"])
        #expect(throws: ClientError.self) { try Endpoint.list(parsing: ",") }
    }
}
