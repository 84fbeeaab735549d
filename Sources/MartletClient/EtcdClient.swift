package import EtcdAPI
import HTTP2
package import NIOCore
import NIOPosix
package import SwiftProtobuf
import Synchronization

/// A client of any etcd v3 cluster.
///
/// It knows several endpoints and stays with one as long as that answers. A call that was not sent, because nobody
/// could be connected to, goes to the next endpoint; so does a read that was sent and failed because a server was not
/// available. A write that was sent is never sent again: it may have been carried out.
package final class EtcdClient: Sendable {
    package struct Options: Sendable {
        /// How long a call may take, all attempts together.
        package var timeout: Duration = .seconds(5)
        /// How long connecting to one endpoint may take.
        package var dialTimeout: Duration = .seconds(2)
        /// The pause after all endpoints have failed; it doubles up to the second figure.
        package var retryPause: Duration = .milliseconds(50)
        package var retryPauseMax: Duration = .seconds(1)
        /// The largest answer that is taken.
        package var answerBytesMax = 2_147_483_647
        /// The largest request that is sent.
        package var requestBytesMax = 2_147_483_647
        /// A connection from which nothing came for so long is asked for a sign of life, while a call is open; nil for
        /// never.
        package var keepAliveInterval: Duration?
        /// Within which that sign must come.
        package var keepAliveTimeout: Duration = .seconds(6)

        package init() {}
    }

    package let options: Options
    let pool: ConnectionPool
    package var endpoints: [Endpoint] { pool.endpoints }

    /// - Parameters:
    ///   - endpoints: at least one.
    ///   - group: where the connections live; the process-wide one if none is given.
    package init(
        endpoints: [Endpoint], options: Options = Options(),
        group: (any EventLoopGroup)? = nil
    ) {
        precondition(!endpoints.isEmpty, "a client needs an endpoint")
        self.options = options
        var connection = GRPCClientConnection.Options()
        connection.connectTimeout = TimeAmount(options.dialTimeout)
        connection.messageBytesMax = options.answerBytesMax
        connection.http2.keepAliveInterval = options.keepAliveInterval.map(TimeAmount.init)
        connection.http2.keepAliveTimeout = TimeAmount(options.keepAliveTimeout)
        connection.http2.keepAliveWithoutCalls = false
        pool = ConnectionPool(
            endpoints: endpoints, group: group ?? MultiThreadedEventLoopGroup.singleton, options: connection)
    }

    /// Closes all connections. Calls that are open fail.
    package func shutdown() async { await pool.shutdown() }

    /// A client of one of the endpoints, with connections of its own.
    package func only(_ endpoint: Endpoint) -> EtcdClient {
        EtcdClient(endpoints: [endpoint], options: options, group: pool.group)
    }

    // MARK: Keys and values

    package func range(_ request: WireRangeRequest<[UInt8]>) async throws(ClientError) -> WireRangeResponse<[UInt8]> {
        try await call(.range, request.encoded(), isRepeatable: true) { (raw) throws(WireError) in
            try RangeResponseView(decoding: raw).owned
        }
    }

    package func put(_ request: WirePutRequest<[UInt8]>) async throws(ClientError) -> WirePutResponse<[UInt8]> {
        try await call(.put, request.encoded(), isRepeatable: false) { (raw) throws(WireError) in
            try PutResponseView(decoding: raw).owned
        }
    }

    package func deleteRange(
        _ request: WireDeleteRangeRequest<[UInt8]>
    ) async throws(ClientError) -> WireDeleteRangeResponse<[UInt8]> {
        try await call(.deleteRange, request.encoded(), isRepeatable: false) { (raw) throws(WireError) in
            try DeleteRangeResponseView(decoding: raw).owned
        }
    }

    package func txn(_ request: WireTxnRequest<[UInt8]>) async throws(ClientError) -> WireTxnResponse<[UInt8]> {
        // As in etcd's client: a transaction that can only read may be repeated.
        let isReadOnly = (request.success + request.failure).allSatisfy {
            if case .range = $0 { true } else { false }
        }
        return try await call(.txn, request.encoded(), isRepeatable: isReadOnly) { (raw) throws(WireError) in
            try TxnResponseView(decoding: raw).owned
        }
    }

    package func compact(_ request: WireCompactionRequest) async throws(ClientError) -> WireHeaderOnlyResponse {
        try await call(.compact, request.encoded(), isRepeatable: false) { (raw) throws(WireError) in
            try WireHeaderOnlyResponse(decoding: raw)
        }
    }

    /// The value of one key; nil where there is none.
    package func get(_ key: String) async throws(ClientError) -> WireKeyValue<[UInt8]>? {
        try await range(WireRangeRequest(key: Array(key.utf8))).kvs.first
    }

    @discardableResult
    package func put(_ key: String, _ value: String) async throws(ClientError) -> WirePutResponse<[UInt8]> {
        try await put(WirePutRequest(key: Array(key.utf8), value: Array(value.utf8)))
    }

    /// How many keys were deleted: one or none.
    @discardableResult
    package func delete(_ key: String) async throws(ClientError) -> Int64 {
        try await deleteRange(WireDeleteRangeRequest(key: Array(key.utf8))).deleted
    }

    // MARK: Cluster and maintenance

    package func memberList(linearizable: Bool = true) async throws(ClientError) -> Etcdserverpb_MemberListResponse {
        try await call(
            .memberList, Etcdserverpb_MemberListRequest.with { $0.linearizable = linearizable }, isRepeatable: true)
    }

    package func memberAdd(
        peerURLs: [String], asLearner: Bool = false
    ) async throws(ClientError) -> Etcdserverpb_MemberAddResponse {
        let request = Etcdserverpb_MemberAddRequest.with {
            $0.peerUrls = peerURLs
            $0.isLearner = asLearner
        }
        return try await call(.memberAdd, request, isRepeatable: false)
    }

    package func memberRemove(_ id: UInt64) async throws(ClientError) -> Etcdserverpb_MemberRemoveResponse {
        try await call(.memberRemove, Etcdserverpb_MemberRemoveRequest.with { $0.id = id }, isRepeatable: false)
    }

    package func memberUpdate(
        _ id: UInt64, peerURLs: [String]
    ) async throws(ClientError) -> Etcdserverpb_MemberUpdateResponse {
        let request = Etcdserverpb_MemberUpdateRequest.with {
            $0.id = id
            $0.peerUrls = peerURLs
        }
        return try await call(.memberUpdate, request, isRepeatable: false)
    }

    package func memberPromote(_ id: UInt64) async throws(ClientError) -> Etcdserverpb_MemberPromoteResponse {
        try await call(.memberPromote, Etcdserverpb_MemberPromoteRequest.with { $0.id = id }, isRepeatable: false)
    }

    /// To be asked of the leader: see `only(_:)`.
    package func moveLeader(to id: UInt64) async throws(ClientError) -> Etcdserverpb_MoveLeaderResponse {
        try await call(.moveLeader, Etcdserverpb_MoveLeaderRequest.with { $0.targetID = id }, isRepeatable: false)
    }

    /// Of whichever member answers: ask `only(_:)` for a certain one.
    package func status() async throws(ClientError) -> Etcdserverpb_StatusResponse {
        try await call(.status, Etcdserverpb_StatusRequest(), isRepeatable: true)
    }

    package func hashKV(revision: Int64 = 0) async throws(ClientError) -> Etcdserverpb_HashKVResponse {
        try await call(.hashKV, Etcdserverpb_HashKVRequest.with { $0.revision = revision }, isRepeatable: true)
    }

    package func alarmList() async throws(ClientError) -> Etcdserverpb_AlarmResponse {
        try await call(.alarm, Etcdserverpb_AlarmRequest.with { $0.action = .get }, isRepeatable: true)
    }

    /// Takes one member's alarm back.
    package func alarmDisarm(
        member: UInt64, _ alarm: Etcdserverpb_AlarmType
    ) async throws(ClientError) -> Etcdserverpb_AlarmResponse {
        let request = Etcdserverpb_AlarmRequest.with {
            $0.action = .deactivate
            $0.memberID = member
            $0.alarm = alarm
        }
        return try await call(.alarm, request, isRepeatable: false)
    }

    /// Of whichever member answers: ask `only(_:)` for a certain one.
    package func defragment() async throws(ClientError) -> Etcdserverpb_DefragmentResponse {
        try await call(.defragment, Etcdserverpb_DefragmentRequest(), isRepeatable: false)
    }

    package func downgrade(
        _ action: Etcdserverpb_DowngradeRequest.DowngradeAction, version: String
    ) async throws(ClientError) -> Etcdserverpb_DowngradeResponse {
        let request = Etcdserverpb_DowngradeRequest.with {
            $0.action = action
            $0.version = version
        }
        return try await call(.downgrade, request, isRepeatable: false)
    }

    /// A client with the same endpoints and options, and connections of its own.
    package func another() -> EtcdClient { EtcdClient(endpoints: endpoints, options: options, group: pool.group) }

    // MARK: Calls

    /// A call with generated messages.
    package func call<Answer: SwiftProtobuf.Message>(
        _ method: EtcdMethod, _ request: some SwiftProtobuf.Message, isRepeatable: Bool
    ) async throws(ClientError) -> Answer {
        let bytes: [UInt8]
        do {
            bytes = try request.serializedBytes()
        } catch {
            throw .status(.internal, message: "the request cannot be encoded")
        }
        return try await call(method, bytes, isRepeatable: isRepeatable) { (raw) throws(WireError) in
            do {
                return try Answer(serializedBytes: Array(raw))
            } catch {
                throw WireError.truncated
            }
        }
    }

    func call<Answer: Sendable>(
        _ method: EtcdMethod, _ request: [UInt8], isRepeatable: Bool,
        _ decode: (UnsafeRawBufferPointer) throws(WireError) -> Answer
    ) async throws(ClientError) -> Answer {
        guard request.count <= options.requestBytesMax else {
            // In the words of gRPC for Go, which etcd's users know.
            throw .status(
                .resourceExhausted,
                message: "trying to send message larger than max (\(request.count) vs. \(options.requestBytesMax))")
        }
        let answer = try await attempt(method, ByteBuffer(bytes: request), isRepeatable: isRepeatable)
        let decoded: Result<Answer, WireError> = answer.withUnsafeReadableBytes { raw in
            Result { () throws(WireError) in try decode(raw) }
        }
        do {
            return try decoded.get()
        } catch {
            throw .malformedAnswer(error)
        }
    }

    /// Tries the endpoints, one after the other, round after round, until one answers or the time is up.
    private func attempt(
        _ method: EtcdMethod, _ request: ByteBuffer, isRepeatable: Bool
    ) async throws(ClientError) -> ByteBuffer {
        let clock = ContinuousClock()
        let deadline = clock.now + options.timeout
        var pause = options.retryPause
        var lastError: ClientError?
        while true {
            var failures: [ClientError.EndpointFailure] = []
            for index in pool.order {
                let connection: GRPCClientConnection
                switch await pool.connection(to: index, before: deadline) {
                case .connected(let open): connection = open
                case .failed(let reason):
                    failures.append(.init(endpoint: pool.endpoints[index], reason: reason))
                    continue
                case .tooLate: throw lastError ?? .deadlineExceeded
                case .closed: throw .closed
                }
                do throws(GRPCStatus) {
                    let answer = try await connection.unary(
                        method.rawValue, request, timeout: TimeAmount(clock.now.duration(to: deadline)),
                        metadata: [("client-api-version", MartletVersion.etcd)])
                    pool.prefer(index)
                    return answer
                } catch {
                    let failure = ClientError(error)
                    guard error.code == .unavailable, isRepeatable else { throw failure }
                    lastError = failure
                    pool.avoid(index)
                }
            }
            if failures.count == pool.endpoints.count { lastError = .unreachable(failures) }
            guard clock.now + pause < deadline else { throw lastError ?? .deadlineExceeded }
            do {
                try await clock.sleep(for: pause)
            } catch {
                throw .status(.canceled, message: "context canceled")
            }
            pause = min(pause * 2, options.retryPauseMax)
        }
    }
}

extension ClientError {
    init(_ status: GRPCStatus) {
        if let known = EtcdError(message: status.message) {
            self = .etcd(known)
        } else if status.code == .deadlineExceeded {
            self = .deadlineExceeded
        } else {
            self = .status(EtcdStatusCode(rawValue: status.code.rawValue) ?? .unknown, message: status.message)
        }
    }
}
