import EtcdAPI
import Foundation
import SwiftProtobuf
import TestSupport

extension SeededRandom {
    mutating func oneIn(_ count: Int) -> Bool { int(1...count) == 1 }

    /// Numbers from all lengths of varint, negative ones and zero among them.
    mutating func int64() -> Int64 { Int64(bitPattern: uint64()) }
    mutating func uint64() -> UInt64 {
        if oneIn(4) { return 0 }
        if oneIn(8) { return .max }
        return next() >> UInt64.random(in: 0..<64, using: &self)
    }

    mutating func data() -> Data {
        if oneIn(4) { return Data() }
        let count = oneIn(10) ? Int.random(in: 100..<400, using: &self) : Int.random(in: 1..<20, using: &self)
        return Data((0..<count).map { _ in UInt8.random(in: 0...255, using: &self) })
    }

    mutating func bool() -> Bool { oneIn(2) }
    mutating func count() -> Int { Int.random(in: 0..<4, using: &self) }
    mutating func string() -> String {
        (0..<count()).map { _ in ["a", "ü", "鍵", "🗝️", ""][Int.random(in: 0..<5, using: &self)] }.joined()
    }
}

/// A hand-coded message that has a generated twin.
protocol Twin: WireDecodable, WireEncodable, SendableMetatype {
    associatedtype Generated: SwiftProtobuf.Message & Equatable
    /// The same content, by the names of the fields.
    var generated: Generated { get }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated
}

extension Twin {
    static func random(_ random: inout SeededRandom) -> Generated { Self.random(&random, depth: 0) }
}

extension Data {
    init(_ view: UnsafeRawBufferPointer) {
        self.init()
        append(contentsOf: view)
    }
}

extension WireHeader: Twin {
    typealias Generated = Etcdserverpb_ResponseHeader
    var generated: Generated {
        .with {
            $0.clusterID = clusterID
            $0.memberID = memberID
            $0.revision = revision
            $0.raftTerm = raftTerm
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            $0.clusterID = random.uint64()
            $0.memberID = random.uint64()
            $0.revision = random.int64()
            $0.raftTerm = random.uint64()
        }
    }
}

extension WireHeaderOnlyResponse: Twin {
    typealias Generated = Etcdserverpb_CompactionResponse
    var generated: Generated { .with { if let header { $0.header = header.generated } } }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with { if random.bool() { $0.header = WireHeader.random(&random) } }
    }
}

extension KeyValueView: Twin {
    typealias Generated = Mvccpb_KeyValue
    var generated: Generated {
        .with {
            $0.key = Data(key)
            $0.createRevision = createRevision
            $0.modRevision = modRevision
            $0.version = version
            $0.value = Data(value)
            $0.lease = lease
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            $0.key = random.data()
            $0.createRevision = random.int64()
            $0.modRevision = random.int64()
            $0.version = random.int64()
            $0.value = random.data()
            $0.lease = random.int64()
        }
    }
}

extension RangeRequestView: Twin {
    typealias Generated = Etcdserverpb_RangeRequest
    var generated: Generated {
        .with {
            $0.key = Data(key)
            $0.rangeEnd = Data(rangeEnd)
            $0.limit = limit
            $0.revision = revision
            $0.sortOrder = .init(rawValue: Int(sortOrder.rawValue))!
            $0.sortTarget = .init(rawValue: Int(sortTarget.rawValue))!
            $0.serializable = serializable
            $0.keysOnly = keysOnly
            $0.countOnly = countOnly
            $0.minModRevision = minModRevision
            $0.maxModRevision = maxModRevision
            $0.minCreateRevision = minCreateRevision
            $0.maxCreateRevision = maxCreateRevision
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            $0.key = random.data()
            $0.rangeEnd = random.data()
            $0.limit = random.int64()
            $0.revision = random.int64()
            $0.sortOrder = .init(rawValue: Int.random(in: -1...3, using: &random))!
            $0.sortTarget = .init(rawValue: Int.random(in: 0...5, using: &random))!
            $0.serializable = random.bool()
            $0.keysOnly = random.bool()
            $0.countOnly = random.bool()
            $0.minModRevision = random.int64()
            $0.maxModRevision = random.int64()
            $0.minCreateRevision = random.int64()
            $0.maxCreateRevision = random.int64()
        }
    }
}

extension RangeResponseView: Twin {
    typealias Generated = Etcdserverpb_RangeResponse
    var generated: Generated {
        .with {
            if let header { $0.header = header.generated }
            $0.kvs = kvs.map(\.generated)
            $0.more = more
            $0.count = count
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            if random.bool() { $0.header = WireHeader.random(&random) }
            $0.kvs = (0..<random.count()).map { _ in KeyValueView.random(&random) }
            $0.more = random.bool()
            $0.count = random.int64()
        }
    }
}

extension PutRequestView: Twin {
    typealias Generated = Etcdserverpb_PutRequest
    var generated: Generated {
        .with {
            $0.key = Data(key)
            $0.value = Data(value)
            $0.lease = lease
            $0.prevKv = prevKV
            $0.ignoreValue = ignoreValue
            $0.ignoreLease = ignoreLease
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            $0.key = random.data()
            $0.value = random.data()
            $0.lease = random.int64()
            $0.prevKv = random.bool()
            $0.ignoreValue = random.bool()
            $0.ignoreLease = random.bool()
        }
    }
}

extension PutResponseView: Twin {
    typealias Generated = Etcdserverpb_PutResponse
    var generated: Generated {
        .with {
            if let header { $0.header = header.generated }
            if let prevKV { $0.prevKv = prevKV.generated }
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            if random.bool() { $0.header = WireHeader.random(&random) }
            if random.bool() { $0.prevKv = KeyValueView.random(&random) }
        }
    }
}

extension DeleteRangeRequestView: Twin {
    typealias Generated = Etcdserverpb_DeleteRangeRequest
    var generated: Generated {
        .with {
            $0.key = Data(key)
            $0.rangeEnd = Data(rangeEnd)
            $0.prevKv = prevKV
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            $0.key = random.data()
            $0.rangeEnd = random.data()
            $0.prevKv = random.bool()
        }
    }
}

extension DeleteRangeResponseView: Twin {
    typealias Generated = Etcdserverpb_DeleteRangeResponse
    var generated: Generated {
        .with {
            if let header { $0.header = header.generated }
            $0.deleted = deleted
            $0.prevKvs = prevKVs.map(\.generated)
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            if random.bool() { $0.header = WireHeader.random(&random) }
            $0.deleted = random.int64()
            $0.prevKvs = (0..<random.count()).map { _ in KeyValueView.random(&random) }
        }
    }
}

extension WireCompactionRequest: Twin {
    typealias Generated = Etcdserverpb_CompactionRequest
    var generated: Generated {
        .with {
            $0.revision = revision
            $0.physical = physical
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            $0.revision = random.int64()
            $0.physical = random.bool()
        }
    }
}

extension CompareView: Twin {
    typealias Generated = Etcdserverpb_Compare
    var generated: Generated {
        .with {
            $0.result = .init(rawValue: Int(result.rawValue))!
            $0.target = .init(rawValue: Int(target.rawValue))!
            $0.key = Data(key)
            $0.rangeEnd = Data(rangeEnd)
            switch operand {
            case nil: break
            case .version(let number): $0.version = number
            case .createRevision(let number): $0.createRevision = number
            case .modRevision(let number): $0.modRevision = number
            case .value(let bytes): $0.value = Data(bytes)
            case .lease(let number): $0.lease = number
            }
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            $0.result = .init(rawValue: Int.random(in: 0...4, using: &random))!
            $0.target = .init(rawValue: Int.random(in: 0...5, using: &random))!
            $0.key = random.data()
            $0.rangeEnd = random.data()
            switch Int.random(in: 0..<6, using: &random) {
            case 0: $0.version = random.int64()
            case 1: $0.createRevision = random.int64()
            case 2: $0.modRevision = random.int64()
            case 3: $0.value = random.data()
            case 4: $0.lease = random.int64()
            default: break
            }
        }
    }
}

extension RequestOpView: Twin {
    typealias Generated = Etcdserverpb_RequestOp
    var generated: Generated {
        .with {
            switch self {
            case .none: break
            case .range(let request): $0.requestRange = request.generated
            case .put(let request): $0.requestPut = request.generated
            case .deleteRange(let request): $0.requestDeleteRange = request.generated
            case .txn(let request): $0.requestTxn = request.generated
            }
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            switch Int.random(in: 0..<5, using: &random) {
            case 0: $0.requestRange = RangeRequestView.random(&random)
            case 1: $0.requestPut = PutRequestView.random(&random)
            case 2: $0.requestDeleteRange = DeleteRangeRequestView.random(&random)
            case 3 where depth < 4: $0.requestTxn = TxnRequestView.random(&random, depth: depth + 1)
            default: break
            }
        }
    }
}

extension TxnRequestView: Twin {
    typealias Generated = Etcdserverpb_TxnRequest
    var generated: Generated {
        .with {
            $0.compare = compare.map(\.generated)
            $0.success = success.map(\.generated)
            $0.failure = failure.map(\.generated)
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            $0.compare = (0..<random.count()).map { _ in CompareView.random(&random) }
            $0.success = (0..<random.count()).map { _ in RequestOpView.random(&random, depth: depth) }
            $0.failure = (0..<random.count()).map { _ in RequestOpView.random(&random, depth: depth) }
        }
    }
}

extension ResponseOpView: Twin {
    typealias Generated = Etcdserverpb_ResponseOp
    var generated: Generated {
        .with {
            switch self {
            case .none: break
            case .range(let response): $0.responseRange = response.generated
            case .put(let response): $0.responsePut = response.generated
            case .deleteRange(let response): $0.responseDeleteRange = response.generated
            case .txn(let response): $0.responseTxn = response.generated
            }
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            switch Int.random(in: 0..<5, using: &random) {
            case 0: $0.responseRange = RangeResponseView.random(&random)
            case 1: $0.responsePut = PutResponseView.random(&random)
            case 2: $0.responseDeleteRange = DeleteRangeResponseView.random(&random)
            case 3 where depth < 4: $0.responseTxn = TxnResponseView.random(&random, depth: depth + 1)
            default: break
            }
        }
    }
}

extension TxnResponseView: Twin {
    typealias Generated = Etcdserverpb_TxnResponse
    var generated: Generated {
        .with {
            if let header { $0.header = header.generated }
            $0.succeeded = succeeded
            $0.responses = responses.map(\.generated)
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            if random.bool() { $0.header = WireHeader.random(&random) }
            $0.succeeded = random.bool()
            $0.responses = (0..<random.count()).map { _ in ResponseOpView.random(&random, depth: depth) }
        }
    }
}

extension WatchCreateRequestView: Twin {
    typealias Generated = Etcdserverpb_WatchCreateRequest
    /// A set of filters has no order and no duplicates: both sides are brought to that.
    static func normalize(_ filters: [Generated.FilterType]) -> [Generated.FilterType] {
        (filters.contains(.noput) ? [.noput] : []) + (filters.contains(.nodelete) ? [.nodelete] : [])
    }
    var generated: Generated {
        .with {
            $0.key = Data(key)
            $0.rangeEnd = Data(rangeEnd)
            $0.startRevision = startRevision
            $0.progressNotify = progressNotify
            $0.filters =
                (filters.contains(.noPut) ? [.noput] : []) + (filters.contains(.noDelete) ? [.nodelete] : [])
            $0.prevKv = prevKV
            $0.watchID = watchID
            $0.fragment = fragment
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            $0.key = random.data()
            $0.rangeEnd = random.data()
            $0.startRevision = random.int64()
            $0.progressNotify = random.bool()
            $0.filters = normalize((0..<random.count()).map { _ in random.bool() ? .noput : .nodelete })
            $0.prevKv = random.bool()
            $0.watchID = random.int64()
            $0.fragment = random.bool()
        }
    }
}

extension WatchRequestView: Twin {
    typealias Generated = Etcdserverpb_WatchRequest
    var generated: Generated {
        .with {
            switch self {
            case .none: break
            case .create(let request): $0.createRequest = request.generated
            case .cancel(let watchID): $0.cancelRequest.watchID = watchID
            case .progress: $0.progressRequest = .init()
            }
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            switch Int.random(in: 0..<4, using: &random) {
            case 0: $0.createRequest = WatchCreateRequestView.random(&random)
            case 1: $0.cancelRequest = .with { $0.watchID = random.int64() }
            case 2: $0.progressRequest = .init()
            default: break
            }
        }
    }
}

extension EventView: Twin {
    typealias Generated = Mvccpb_Event
    var generated: Generated {
        .with {
            $0.type = isDelete ? .delete : .put
            if let kv { $0.kv = kv.generated }
            if let prevKV { $0.prevKv = prevKV.generated }
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            $0.type = random.bool() ? .delete : .put
            if random.bool() { $0.kv = KeyValueView.random(&random) }
            if random.bool() { $0.prevKv = KeyValueView.random(&random) }
        }
    }
}

extension WatchResponseView: Twin {
    typealias Generated = Etcdserverpb_WatchResponse
    var generated: Generated {
        .with {
            if let header { $0.header = header.generated }
            $0.watchID = watchID
            $0.created = created
            $0.canceled = canceled
            $0.compactRevision = compactRevision
            $0.cancelReason = cancelReason
            $0.fragment = fragment
            $0.events = events.map(\.generated)
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            if random.bool() { $0.header = WireHeader.random(&random) }
            $0.watchID = random.int64()
            $0.created = random.bool()
            $0.canceled = random.bool()
            $0.compactRevision = random.int64()
            $0.cancelReason = random.string()
            $0.fragment = random.bool()
            $0.events = (0..<random.count()).map { _ in EventView.random(&random) }
        }
    }
}

extension WireNumberRequest: Twin {
    typealias Generated = Etcdserverpb_LeaseKeepAliveRequest
    var generated: Generated { .with { $0.id = number } }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated { .with { $0.id = random.int64() } }
}

extension WireLeaseKeepAliveResponse: Twin {
    typealias Generated = Etcdserverpb_LeaseKeepAliveResponse
    var generated: Generated {
        .with {
            if let header { $0.header = header.generated }
            $0.id = id
            $0.ttl = ttl
        }
    }
    static func random(_ random: inout SeededRandom, depth: Int) -> Generated {
        .with {
            if random.bool() { $0.header = WireHeader.random(&random) }
            $0.id = random.int64()
            $0.ttl = random.int64()
        }
    }
}

/// Every hand-coded message.
let twins: [any Twin.Type] = [
    WireHeader.self, WireHeaderOnlyResponse.self, KeyValueView.self, RangeRequestView.self, RangeResponseView.self,
    PutRequestView.self, PutResponseView.self, DeleteRangeRequestView.self, DeleteRangeResponseView.self,
    WireCompactionRequest.self, CompareView.self, RequestOpView.self, TxnRequestView.self, ResponseOpView.self,
    TxnResponseView.self, WatchCreateRequestView.self, WatchRequestView.self, EventView.self, WatchResponseView.self,
    WireNumberRequest.self, WireLeaseKeepAliveResponse.self,
]

func decode<Message: Twin>(_ type: Message.Type, _ bytes: [UInt8]) -> Result<Message.Generated, WireError> {
    bytes.withUnsafeBytes { raw in
        Result { () throws(WireError) in try Message(decoding: raw).generated }
    }
}

/// What SwiftProtobuf makes of the bytes; nil where it refuses them.
func reference<Message: Twin>(_ type: Message.Type, _ bytes: [UInt8]) -> Message.Generated? {
    var options = BinaryDecodingOptions()
    options.discardUnknownFields = true
    return try? Message.Generated(serializedBytes: bytes, options: options)
}
