import EtcdAPI
import HTTP2
import MVCC
import NIOCore
import Raft
import Replica

/// `etcdserverpb.KV`: the hot path. Requests go between bytes and the store's types by hand (decision 8).
struct KVService: Sendable {
    let context: ServiceContext

    /// The most elements that a transaction's lists may decode to: what lies beyond is refused anyway.
    private var transactionElementsMax: Int { context.limits.transactionOperationsMax * 4 + 16 }

    func register(in methods: inout GRPCMethods) {
        methods.register(.range, .unary { call, message in range(call, message) })
        methods.register(.put, .unary { call, message in put(call, message) })
        methods.register(.deleteRange, .unary { call, message in deleteRange(call, message) })
        methods.register(.txn, .unary { call, message in transaction(call, message) })
        methods.register(.compact, .unary { call, message in compact(call, message) })
    }

    // MARK: Range

    private func range(_ call: GRPCCall, _ message: ByteBuffer) {
        let isSerializable: Bool
        do {
            // Before anyone is asked for a read index, as in etcd; the rest is for `store.range` to refuse.
            isSerializable = try message.withUnsafeReadableBytes { bytes in
                let request = try RangeRequestView(decoding: bytes)
                guard !request.key.isEmpty else { throw RequestError.keyNotProvided }
                return request.serializable
            }
        } catch let error as RequestError {
            return call.finish(GRPCStatus(error))
        } catch {
            return call.finish(.undecodable(error))
        }
        if isSerializable { return range(call, message, in: context.node.published.view) }
        context.requests(on: call.eventLoop).read { result in
            switch result {
            case .success(let view): range(call, message, in: view)
            case .failure(let failure): call.finish(GRPCStatus(failure))
            }
        }
    }

    /// Reads the range and writes its pairs straight into the answer, as the cursor stands on them.
    private func range(_ call: GRPCCall, _ message: ByteBuffer, in view: ReplicaView) {
        guard !call.isCancelled else { return }
        do {
            let query = try message.withUnsafeReadableBytes { RangeQuery(try RangeRequestView(decoding: $0)) }
            var failure: GRPCStatus?
            let requests = context.requests(on: call.eventLoop)
            let isMany = query.range.end != .single && !query.countOnly
            var visitor = RangeEncoder(capacity: isMany ? requests.rangeBytesExpected : 512)
            do throws(ReadError) {
                let summary = try view.store.range(query, into: &visitor)
                WireRangeResponseStream.finish(
                    header: context.header(revision: summary.revision.rawValue), more: summary.more,
                    count: summary.count, to: &visitor.output)
            } catch {
                failure = context.status(of: error)
            }
            if let failure { return call.finish(failure) }
            if isMany { requests.noteRange(bytes: visitor.output.buffer.readableBytes) }
            call.reply(visitor.output.buffer)
        } catch {
            call.finish(.undecodable(error))
        }
    }

    // MARK: Writes

    private func put(_ call: GRPCCall, _ message: ByteBuffer, isAdmitted: Bool = false) {
        if !isAdmitted {
            guard context.admitsSize(of: message, for: call) else { return }
            let growth = SpaceQuota.putOverheadBytes + message.readableBytes
            guard context.space.admits(growth) else {
                return context.findSpace(growth, for: call) { put(call, message, isAdmitted: true) }
            }
        }
        let payload: [UInt8]?
        do {
            payload = try message.withUnsafeReadableBytes { bytes -> [UInt8]? in
                let request = try PutRequestView(decoding: bytes)
                if let error = Self.validate(request) {
                    call.finish(GRPCStatus(error))
                    return nil
                }
                var flags: CommandCodec.PutFlags = []
                if request.prevKV { flags.insert(.prevKV) }
                if request.ignoreValue { flags.insert(.ignoreValue) }
                if request.ignoreLease { flags.insert(.ignoreLease) }
                return CommandCodec.encodePut(
                    key: request.key, value: request.value, lease: LeaseID(request.lease), flags: flags,
                    prefixBytes: LoopRequests.commandPrefixBytes)
            }
        } catch {
            return call.finish(.undecodable(error))
        }
        guard let payload else { return }
        propose(payload, for: call)
    }

    private static func validate(_ request: PutRequestView) -> RequestError? {
        if request.key.isEmpty { return .keyNotProvided }
        if request.ignoreValue, !request.value.isEmpty { return .valueProvided }
        if request.ignoreLease, request.lease != 0 { return .leaseProvided }
        return nil
    }

    private func deleteRange(_ call: GRPCCall, _ message: ByteBuffer) {
        guard context.admitsSize(of: message, for: call) else { return }
        do {
            let operation = try message.withUnsafeReadableBytes {
                DeleteOperation(try DeleteRangeRequestView(decoding: $0))
            }
            guard !operation.range.key.isEmpty else { return call.finish(GRPCStatus(RequestError.keyNotProvided)) }
            propose(.delete(operation), for: call)
        } catch {
            call.finish(.undecodable(error))
        }
    }

    private func transaction(_ call: GRPCCall, _ message: ByteBuffer) {
        // Its size is for `admit` to judge: what only reads is not written anywhere, and etcd looks at the form first.
        let transaction: Transaction
        do {
            transaction = try message.withUnsafeReadableBytes {
                Transaction(try TxnRequestView(decoding: $0, elementsMax: transactionElementsMax))
            }
        } catch WireError.tooManyElements {
            return call.finish(GRPCStatus(RequestError.tooManyOperations))
        } catch {
            return call.finish(.undecodable(error))
        }
        do throws(RequestError) {
            try transaction.validate(maxOperations: context.limits.transactionOperationsMax)
        } catch {
            return call.finish(GRPCStatus(error))
        }
        guard transaction.isReadOnly else {
            guard context.admitsSize(of: message, for: call) else { return }
            guard transaction.hasPuts else { return propose(.transaction(transaction), for: call) }
            context.withSpace(SpaceQuota.growth(of: transaction), for: call) {
                propose(.transaction(transaction), for: call)
            }
            return
        }
        // Nothing in it writes, so it needs no place in the log (K19).
        if transaction.isSerializable {
            return evaluate(transaction, for: call, in: context.node.published.view)
        }
        context.requests(on: call.eventLoop).read { result in
            switch result {
            case .success(let view): evaluate(transaction, for: call, in: view)
            case .failure(let failure): call.finish(GRPCStatus(failure))
            }
        }
    }

    private func evaluate(_ transaction: Transaction, for call: GRPCCall, in view: ReplicaView) {
        do throws(ReadError) {
            let answer = try view.store.evaluate(transaction)
            call.reply(
                encoding: WireTxnResponse(
                    answer, header: context.header(revision: answer.revision?.rawValue ?? 0)))
        } catch {
            call.finish(context.status(of: error))
        }
    }

    private func compact(_ call: GRPCCall, _ message: ByteBuffer) {
        let request: WireCompactionRequest
        do {
            request = try message.withUnsafeReadableBytes { try WireCompactionRequest(decoding: $0) }
        } catch {
            return call.finish(.undecodable(error))
        }
        let revision = Revision(request.revision)
        let payload = CommandCodec.encode(
            .compact(Compaction(revision: revision, physical: request.physical)),
            prefixBytes: LoopRequests.commandPrefixBytes)
        context.requests(on: call.eventLoop).propose(payload) { result in
            switch result {
            case .success(.keyValue(let outcome)):
                if request.physical, case .compacted = outcome.result {
                    awaitPhysicalCompaction(revision, outcome, for: call)
                } else {
                    reply(outcome, to: call)
                }
            case .success: call.finish(.anotherKind)
            case .failure(let failure): call.finish(GRPCStatus(failure))
            }
        }
    }

    /// Rows go in bounded steps after the command was applied; this looks whether the last has been taken.
    private func awaitPhysicalCompaction(_ revision: Revision, _ outcome: Outcome, for call: GRPCCall) {
        if call.isCancelled { return }
        if context.node.published.view.store.finishedCompactRevision >= revision { return reply(outcome, to: call) }
        call.eventLoop.scheduleTask(in: .milliseconds(10)) { awaitPhysicalCompaction(revision, outcome, for: call) }
    }

    // MARK: What writes share

    private func propose(_ command: Command, for call: GRPCCall) {
        propose(CommandCodec.encode(command, prefixBytes: LoopRequests.commandPrefixBytes), for: call)
    }

    private func propose(_ payload: [UInt8], for call: GRPCCall) {
        context.requests(on: call.eventLoop).propose(payload) { result in
            switch result {
            case .success(.keyValue(let outcome)): reply(outcome, to: call)
            case .success: call.finish(.anotherKind)
            case .failure(let failure): call.finish(GRPCStatus(failure))
            }
        }
    }

    private func reply(_ outcome: Outcome, to call: GRPCCall) {
        switch outcome.result {
        case .put(let answer):
            call.reply(encoding: WirePutResponse(answer, header: context.header(revision: answer.revision.rawValue)))
        case .delete(let answer):
            call.reply(
                encoding: WireDeleteRangeResponse(answer, header: context.header(revision: answer.revision.rawValue)))
        case .transaction(let answer):
            call.reply(
                encoding: WireTxnResponse(
                    answer, header: context.header(revision: (answer.revision ?? outcome.revision).rawValue)))
        case .compacted:
            call.reply(encoding: WireHeaderOnlyResponse(header: context.header(revision: outcome.revision.rawValue)))
        case .failed(let error): call.finish(GRPCStatus(error))
        }
    }
}

/// Writes a range's pairs into the answer while the range is being read.
private struct RangeEncoder: RangeVisitor {
    var output: BufferOutput

    /// A pair's tag and length.
    private static let pairHeadBytesMax = 11

    init(capacity: Int) { output = BufferOutput(buffer: ByteBufferAllocator().buffer(capacity: capacity)) }

    mutating func visit(_ pair: BorrowedKeyValue) {
        let wire = WireKeyValue(pair)
        let size = wire.encodedSize
        output.buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size + Self.pairHeadBytesMax) { memory in
            var writer = WireWriter(memory)
            writer.delimited(WireRangeResponseStream.pairField, size)
            wire.encode(into: &writer)
            return writer.count
        }
    }
}

extension ServiceContext {
    /// A read that failed. Where the fault is this member's own data, nothing more it says can be trusted.
    func status(of error: ReadError) -> GRPCStatus {
        switch error {
        case .request(let error): return GRPCStatus(error)
        case .state(let error):
            node.fail(NodeFailure(part: .engine, reason: "\(error)"))
            return GRPCStatus(.dataLoss, "etcdserver: corrupt cluster")
        }
    }
}
