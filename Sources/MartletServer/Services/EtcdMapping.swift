import EtcdAPI
import HTTP2
import MVCC
import Raft
import RaftCore

// Between etcd's messages and the store's own types: the only place that knows both.

extension RangeQuery {
    init(_ wire: RangeRequestView) {
        self.init(KeyRange(key: Array(wire.key), rangeEnd: Array(wire.rangeEnd)))
        limit = wire.limit
        revision = Revision(wire.revision)
        sortOrder = SortOrder(rawValue: UInt8(exactly: wire.sortOrder.rawValue) ?? 255) ?? .unrecognized
        sortTarget = SortTarget(rawValue: UInt8(exactly: wire.sortTarget.rawValue) ?? 255) ?? .unrecognized
        isSerializable = wire.serializable
        keysOnly = wire.keysOnly
        countOnly = wire.countOnly
        minModRevision = Revision(wire.minModRevision)
        maxModRevision = Revision(wire.maxModRevision)
        minCreateRevision = Revision(wire.minCreateRevision)
        maxCreateRevision = Revision(wire.maxCreateRevision)
    }
}

extension PutOperation {
    init(_ wire: PutRequestView) {
        self.init(
            key: Array(wire.key), value: Array(wire.value), lease: LeaseID(wire.lease), prevKV: wire.prevKV,
            ignoreValue: wire.ignoreValue, ignoreLease: wire.ignoreLease)
    }
}

extension DeleteOperation {
    init(_ wire: DeleteRangeRequestView) {
        self.init(KeyRange(key: Array(wire.key), rangeEnd: Array(wire.rangeEnd)), prevKV: wire.prevKV)
    }
}

extension Comparison {
    init(_ wire: CompareView) {
        let relation = Relation(rawValue: UInt8(exactly: wire.result.rawValue) ?? 255) ?? .unrecognized
        // The target decides; an operand that was sent for another target counts as that target's zero, as in etcd.
        let operand: Operand
        switch (wire.target, wire.operand) {
        case (.version, .version(let number)): operand = .version(number)
        case (.version, _): operand = .version(0)
        case (.create, .createRevision(let number)): operand = .createRevision(number)
        case (.create, _): operand = .createRevision(0)
        case (.mod, .modRevision(let number)): operand = .modRevision(number)
        case (.mod, _): operand = .modRevision(0)
        case (.value, .value(let bytes)): operand = .value(Array(bytes))
        case (.value, _): operand = .value([])
        case (.lease, .lease(let number)): operand = .lease(number)
        case (.lease, _): operand = .lease(0)
        default: operand = .unrecognized
        }
        self.init(KeyRange(key: Array(wire.key), rangeEnd: Array(wire.rangeEnd)), relation, operand)
    }
}

extension Operation {
    init(_ wire: RequestOpView) {
        switch wire {
        case .none: self = .empty
        case .range(let request): self = .range(RangeQuery(request))
        case .put(let request): self = .put(PutOperation(request))
        case .deleteRange(let request): self = .delete(DeleteOperation(request))
        case .txn(let request): self = .transaction(Transaction(request))
        }
    }
}

extension Transaction {
    init(_ wire: TxnRequestView) {
        self.init(
            comparisons: wire.compare.map(Comparison.init), success: wire.success.map(Operation.init),
            failure: wire.failure.map(Operation.init))
    }
}

extension WireKeyValue where Bytes == [UInt8] {
    init(_ pair: KeyValue) {
        self.init(
            key: pair.key, createRevision: pair.createRevision.rawValue, modRevision: pair.modRevision.rawValue,
            version: pair.version, value: pair.value, lease: pair.lease.rawValue)
    }
}

extension WireKeyValue where Bytes == UnsafeRawBufferPointer {
    init(_ pair: BorrowedKeyValue) {
        self.init(
            key: pair.key, createRevision: pair.createRevision.rawValue, modRevision: pair.modRevision.rawValue,
            version: pair.version, value: pair.value, lease: pair.lease.rawValue)
    }
}

extension WireRangeResponse where Bytes == [UInt8] {
    init(_ answer: RangeAnswer, header: WireHeader?) {
        self.init(
            header: header, kvs: answer.keyValues.map { WireKeyValue($0) }, more: answer.more, count: answer.count)
    }
}

extension WirePutResponse where Bytes == [UInt8] {
    init(_ answer: PutAnswer, header: WireHeader?) {
        self.init(header: header, prevKV: answer.previous.map { WireKeyValue($0) })
    }
}

extension WireDeleteRangeResponse where Bytes == [UInt8] {
    init(_ answer: DeleteAnswer, header: WireHeader?) {
        self.init(header: header, deleted: answer.deleted, prevKVs: answer.previous.map { WireKeyValue($0) })
    }
}

extension WireTxnResponse where Bytes == [UInt8] {
    init(_ answer: TransactionAnswer, header: WireHeader?) {
        self.init(
            header: header, succeeded: answer.succeeded, responses: answer.answers.map { WireResponseOp($0) })
    }
}

extension WireResponseOp where Bytes == [UInt8] {
    /// Sub-responses carry a header of which only the revision is set (K17).
    init(_ answer: OperationAnswer) {
        func header(_ revision: Revision) -> WireHeader {
            WireHeader(clusterID: 0, memberID: 0, revision: revision.rawValue, raftTerm: 0)
        }
        switch answer {
        case .range(let range): self = .range(WireRangeResponse(range, header: header(range.revision)))
        case .put(let put): self = .put(WirePutResponse(put, header: header(put.revision)))
        case .delete(let delete): self = .deleteRange(WireDeleteRangeResponse(delete, header: header(delete.revision)))
        case .transaction(let nested): self = .txn(WireTxnResponse(nested, header: WireHeader()))
        case .empty: self = .none
        }
    }
}

extension GRPCStatus {
    init(_ error: RequestError) {
        self.init(GRPCCode(rawValue: UInt8(error.grpcCode)) ?? .unknown, error.message)
    }

    init(_ error: EtcdError) { self.init(GRPCCode(rawValue: error.code.rawValue) ?? .unknown, error.message) }

    /// Why the leader did not take a change of the members.
    init(_ refusal: ConfigurationRefusal) {
        switch refusal {
        case .notCaughtUp: self.init(EtcdError.learnerNotReady)
        case .losesQuorum: self.init(EtcdError.unhealthy)
        case .removesAllVoters: self.init(EtcdError.memberNotEnoughStarted)
        case .unknownMembers: self.init(EtcdError.memberNotFound)
        // Another change did not come to its end in time.
        case .pending, .isJoint: self.init(EtcdError.timeout)
        case .undecodable, .isNotJoint, .impossible: self.init(.unknown, "etcdserver: \(refusal)")
        }
    }

    init(_ failure: RequestFailure) {
        switch failure {
        case .noLeader: self.init(EtcdError.noLeader)
        case .leaderChanging: self.init(EtcdError.leaderChanged)
        case .tooManyRequests: self.init(EtcdError.tooManyRequests)
        case .timedOut, .timedOutWithoutLeader: self.init(EtcdError.timeout)
        case .timedOutByLeaderFailure: self.init(EtcdError.timeoutDueToLeaderFail)
        case .timedOutByLostConnection: self.init(EtcdError.timeoutDueToConnectionLost)
        case .configurationRefused(let reason): self.init(reason)
        case .notMember, .stopped: self.init(EtcdError.stopped)
        }
    }
}
