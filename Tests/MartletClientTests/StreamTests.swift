import EtcdAPI
import HTTP2
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import MartletClient

/// A server of streams that plays a script: for each message it gets, what it sends, and whether it ends the stream.
private final class StreamServer: Sendable {
    struct Step: Sendable {
        var messages: [[UInt8]] = []
        var end: GRPCStatus?
    }

    let endpoint: Endpoint
    private let channel: any Channel
    private let server: GRPCServer
    let requests: Requests

    final class Requests: Sendable {
        let all = Mutex<[[UInt8]]>([])
    }

    private final class Receiver: GRPCStreamReceiver {
        private let call: GRPCCall
        private let onRequest: ([UInt8]) -> Step

        init(_ call: GRPCCall, _ onRequest: @escaping ([UInt8]) -> Step) {
            self.call = call
            self.onRequest = onRequest
        }

        func onMessage(_ message: ByteBuffer) {
            let step = onRequest(Array(buffer: message))
            for message in step.messages { call.send(ByteBuffer(bytes: message)) }
            if let status = step.end { call.finish(status) }
        }

        func onHalfClose() {}
        func onCancel() {}
    }

    /// - Parameter answer: is given the number of the request, from 0 on, over all streams.
    init(_ method: EtcdMethod, _ answer: @escaping @Sendable (Int, [UInt8]) -> Step) async throws {
        let requests = Requests()
        var methods = GRPCMethods()
        methods.register(
            method.rawValue,
            .streaming { call in
                Receiver(call) { bytes in
                    let number = requests.all.withLock { all in
                        all.append(bytes)
                        return all.count - 1
                    }
                    return answer(number, bytes)
                }
            })
        let server = GRPCServer(methods: methods)
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(server.makeConnection(on: channel.eventLoop))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        endpoint = Endpoint(host: "127.0.0.1", port: try #require(channel.localAddress?.port))
        self.requests = requests
        self.server = server
    }

    func client() -> EtcdClient {
        var options = EtcdClient.Options()
        options.retryPause = .milliseconds(1)
        return EtcdClient(endpoints: [endpoint], options: options)
    }

    func stop(_ client: EtcdClient) async {
        await client.shutdown()
        try? await channel.close()
        server.drain(deadline: .now())
    }
}

@Suite(.timeLimit(.minutes(1)))
struct StreamTests {
    private let lost = GRPCStatus(.unavailable, "lost")

    private func created(at revision: Int64) -> [UInt8] {
        var response = WireWatchResponse<[UInt8]>(header: header(revision), watchID: 0)
        response.created = true
        return response.encoded()
    }

    private func header(_ revision: Int64) -> WireHeader {
        WireHeader(clusterID: 1, memberID: 2, revision: revision, raftTerm: 3)
    }

    private func event(at revision: Int64, header headerRevision: Int64) -> [UInt8] {
        let kv = WireKeyValue<[UInt8]>(key: [0x6b], createRevision: revision, modRevision: revision, version: 1)
        return WireWatchResponse(
            header: header(headerRevision), watchID: 0, events: [WireEvent(isDelete: false, kv: kv)]
        ).encoded()
    }

    private func startRevision(_ request: [UInt8]) throws -> Int64 {
        let decoded = try request.withUnsafeBytes { raw throws(WireError) in
            try WatchRequestView(decoding: raw).owned
        }
        guard case .create(let create) = decoded else { return -1 }
        return create.startRevision
    }

    @Test func `a watch goes on after the last event that it saw`() async throws {
        let script: [StreamServer.Step] = [
            // Lost before any event: what was promised with its creation is where it goes on.
            .init(messages: [created(at: 7)], end: lost),
            // The header is ahead of the events: more of them are on their way.
            .init(messages: [created(at: 20), event(at: 9, header: 20)], end: lost),
            .init(messages: [], end: lost),
            // A sign of progress: all up to there was sent.
            .init(
                messages: [created(at: 20), WireWatchResponse<[UInt8]>(header: header(30), watchID: 0).encoded()],
                end: lost),
            .init(messages: [created(at: 40), event(at: 35, header: 40)]),
        ]
        let server = try await StreamServer(.watch) { number, _ in script[number] }
        let client = server.client()
        var request = WireWatchCreateRequest<[UInt8]>()
        request.key = [0x6b]
        let watch = client.watch(request)
        var seen: [Int64] = []
        for _ in 0..<3 {
            let response = try #require(try await watch.next())
            seen.append(response.events.first?.kv?.modRevision ?? 0)
        }
        watch.end()
        #expect(try await watch.next() == nil)
        #expect(seen == [9, 0, 35])
        let starts = try server.requests.all.withLock { $0 }.map(startRevision)
        #expect(starts == [0, 8, 10, 10, 31])
        await server.stop(client)
    }

    @Test func `a watch that the server cancels ends with the reason`() async throws {
        var canceled = WireWatchResponse<[UInt8]>(header: header(9), watchID: 0)
        canceled.canceled = true
        canceled.compactRevision = 5
        let messages = [created(at: 9), canceled.encoded()]
        let server = try await StreamServer(.watch) { _, _ in .init(messages: messages) }
        let client = server.client()
        let watch = client.watch(WireWatchCreateRequest())
        #expect(try await watch.next()?.compactRevision == 5)
        #expect(try await watch.next() == nil)
        #expect(server.requests.all.withLock { $0.count } == 1)
        await server.stop(client)
    }

    @Test func `what another member would not do better is told`() async throws {
        let server = try await StreamServer(.watch) { _, _ in
            .init(end: GRPCStatus(.permissionDenied, "etcdserver: permission denied"))
        }
        let client = server.client()
        let watch = client.watch(WireWatchCreateRequest())
        await #expect(throws: ClientError.etcd(.permissionDenied)) { try await watch.next() }
        #expect(try await watch.next() == nil)
        await server.stop(client)
    }

    @Test func `progress that is asked for too soon is asked for later`() async throws {
        let first = created(at: 3)
        let progress = WireWatchResponse<[UInt8]>(header: header(4), watchID: -1).encoded()
        let server = try await StreamServer(.watch) { number, _ in .init(messages: [number == 0 ? first : progress]) }
        let client = server.client()
        let watch = client.watch(WireWatchCreateRequest())
        watch.requestProgress()
        let response = try #require(try await watch.next())
        #expect(response.isProgress && response.header?.revision == 4)
        #expect(server.requests.all.withLock { $0.last } == WireWatchRequest<[UInt8]>.progress.encoded())
        watch.end()
        await server.stop(client)
    }

    @Test func `a watch whose task is cancelled ends`() async throws {
        let first = created(at: 3)
        let server = try await StreamServer(.watch) { _, _ in .init(messages: [first]) }
        let client = server.client()
        let watch = client.watch(WireWatchCreateRequest())
        let waiting = Task { try await watch.next() }
        try await Task.sleep(for: .milliseconds(50))
        waiting.cancel()
        await #expect(throws: ClientError.canceled) { try await waiting.value }
        await server.stop(client)
    }

    @Test func `a lease is renewed in time, elsewhere if need be, until it is gone`() async throws {
        func answer(_ ttl: Int64) -> [UInt8] {
            WireLeaseKeepAliveResponse(header: header(1), id: 5, ttl: ttl).encoded()
        }
        let script: [StreamServer.Step] = [
            .init(messages: [answer(600)]), .init(end: lost), .init(messages: [answer(600)]),
            .init(messages: [answer(0)]),
        ]
        let server = try await StreamServer(.leaseKeepAlive) { number, _ in script[number] }
        let client = server.client()
        let keeper = LeaseKeeper(client, 5, interval: .milliseconds(333))
        let begin = ContinuousClock.now
        #expect(try await keeper.next()?.ttl == 600)
        #expect(try await keeper.next()?.ttl == 600)
        #expect(begin.duration(to: .now) >= .milliseconds(330))
        #expect(try await keeper.next() == nil)
        #expect(try await keeper.next() == nil)
        let requests = server.requests.all.withLock { $0 }
        #expect(requests == Array(repeating: WireNumberRequest(5).encoded(), count: 4))
        await server.stop(client)
    }
}
