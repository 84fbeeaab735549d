import EtcdAPI
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

/// One test for each rule of the wire format.
struct WireRulesTests {
    private func put(_ bytes: [UInt8]) throws(WireError) -> WirePutRequest<[UInt8]> {
        let result = bytes.withUnsafeBytes { raw in
            Result { () throws(WireError) in try PutRequestView(decoding: raw).owned }
        }
        return try result.get()
    }

    @Test func `no bytes are the default message`() throws {
        #expect(try put([]) == WirePutRequest())
    }

    @Test func `a known message is these bytes`() throws {
        let bytes: [UInt8] = [0x0a, 1, 0x6b, 0x12, 2, 0x76, 0x31, 0x18, 7, 0x20, 1]
        var expected = WirePutRequest<[UInt8]>(key: [0x6b], value: [0x76, 0x31], lease: 7)
        expected.prevKV = true
        #expect(try put(bytes) == expected)
        #expect(expected.encoded() == bytes)
    }

    @Test func `the last of two scalars wins`() throws {
        #expect(try put([0x18, 1, 0x18, 2]).lease == 2)
    }

    @Test func `a negative number takes ten bytes`() throws {
        let bytes: [UInt8] = [0x18] + Array(repeating: 0xff, count: 9) + [0x01]
        #expect(try put(bytes).lease == -1)
        #expect(WirePutRequest<[UInt8]>(key: [], value: [], lease: -1).encoded() == bytes)
    }

    @Test func `a varint may be padded, but not beyond ten bytes or 64 bits`() throws {
        #expect(try put([0x18, 0x81, 0x80, 0x00]).lease == 1)
        let long: [UInt8] = [0x18] + Array(repeating: 0x80, count: 10) + [0x00]
        #expect(throws: WireError.varintTooLong) { try put(long) }
        let wide: [UInt8] = [0x18] + Array(repeating: 0xff, count: 9) + [0x02]
        #expect(throws: WireError.varintTooLong) { try put(wide) }
    }

    @Test func `a length that says more than there is, is refused`() {
        #expect(throws: WireError.truncated) { try put([0x0a, 2, 0x6b]) }
        let huge: [UInt8] = [0x0a] + Array(repeating: 0xff, count: 9) + [0x01]
        #expect(throws: WireError.truncated) { try put(huge) }
        #expect(throws: WireError.truncated) { try put([0x0a]) }
        #expect(throws: WireError.truncated) { try put([0x18, 0x80]) }
    }

    @Test func `a known field of another wire type is refused, as etcd refuses it`() {
        #expect(throws: WireError.wrongWireType(field: 1)) { try put([0x08, 1]) }
        #expect(throws: WireError.wrongWireType(field: 3)) { try put([0x1a, 0]) }
    }

    @Test func `fields of number zero, beyond 2^29 and of no type are refused`() {
        #expect(throws: WireError.invalidTag) { try put([0x02, 0]) }
        #expect(throws: WireError.invalidTag) { try put([0x80, 0x80, 0x80, 0x80, 0x10, 0]) }
        #expect(throws: WireError.invalidTag) { try put([0x0e]) }
        #expect(throws: WireError.invalidTag) { try put([0x0f]) }
    }

    @Test func `unknown fields of every type are stepped over, groups in groups too`() throws {
        let unknown: [UInt8] = [
            0xa0, 0x06, 0x05, 0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8, 0xa2, 0x06, 0x01, 0x00, 0xa5, 0x06, 1, 2, 3, 4,
            0xa3, 0x06, 0x0b, 0x10, 0x01, 0x0c, 0xa4, 0x06,
        ]
        #expect(try put(unknown + [0x18, 9]).lease == 9)
    }

    @Test func `groups that do not match are refused`() {
        #expect(throws: WireError.unmatchedEndGroup) { try put([0xa4, 0x06]) }
        #expect(throws: WireError.unmatchedEndGroup) { try put([0xa3, 0x06, 0x0c]) }
        #expect(throws: WireError.truncated) { try put([0xa3, 0x06]) }
    }

    @Test func `groups and transactions may be nested as deep as the limit and no deeper`() throws {
        let depth = WireLimits.messageDepthMax
        func groups(_ count: Int) -> [UInt8] {
            let begin: [UInt8] = [0xa3, 0x06]
            let end: [UInt8] = [0xa4, 0x06]
            return (0..<count).flatMap { _ in begin } + (0..<count).flatMap { _ in end }
        }
        _ = try put(groups(depth))
        #expect(throws: WireError.nestedTooDeeply) { try put(groups(depth + 1)) }
        #expect(throws: WireError.nestedTooDeeply) { try put(Array(repeating: 0x7b, count: 1_000_000)) }

        func nested(_ levels: Int) -> [UInt8] {
            var request = WireTxnRequest<[UInt8]>()
            for _ in 0..<levels { request = WireTxnRequest(compare: [], success: [.txn(request)], failure: []) }
            return request.encoded()
        }
        let deepest = nested(depth / 2)
        _ = try decode(TxnRequestView.self, deepest).get()
        #expect(reference(TxnRequestView.self, nested(depth / 2 - 1)) != nil)
        #expect(decode(TxnRequestView.self, nested(depth / 2 + 1)) == .failure(.nestedTooDeeply))
    }

    @Test func `filters of a watch may come one by one or packed`() throws {
        for bytes: [UInt8] in [[0x28, 0, 0x28, 1], [0x2a, 2, 0, 1], [0x2a, 1, 1, 0x28, 0]] {
            let filters = try bytes.withUnsafeBytes { try WatchCreateRequestView(decoding: $0).filters }
            #expect(filters == [.noPut, .noDelete])
        }
        let unknown: [UInt8] = [0x2a, 3, 9, 0x80, 0x01]
        #expect(try unknown.withUnsafeBytes { try WatchCreateRequestView(decoding: $0).filters } == [])
        let torn: [UInt8] = [0x2a, 1, 0x80]
        #expect(throws: WireError.truncated) {
            try torn.withUnsafeBytes { _ = try WatchCreateRequestView(decoding: $0) }
        }
    }

    @Test func `a string that is not UTF-8 is refused`() {
        #expect(decode(WatchResponseView.self, [0x32, 1, 0xff]) == .failure(.invalidUTF8(field: 6)))
    }

    @Test func `another member of a oneof replaces the one before, the same one is merged`() throws {
        let first = WireRequestOp<[UInt8]>.put(WirePutRequest(key: [1], value: [2]))
        let second = WireRequestOp<[UInt8]>.put(WirePutRequest(key: [], value: [3], lease: 4))
        let other = WireRequestOp<[UInt8]>.range(WireRangeRequest(key: [5]))
        func joined(_ parts: WireRequestOp<[UInt8]>...) throws -> WireRequestOp<[UInt8]> {
            try parts.flatMap { $0.encoded() }.withUnsafeBytes { try RequestOpView(decoding: $0).owned }
        }
        #expect(try joined(first, second) == .put(WirePutRequest(key: [1], value: [3], lease: 4)))
        #expect(try joined(first, other) == other)
        #expect(try joined(other, first) == first)
    }

    @Test func `a zero in a oneof is written, because it says which member it is`() throws {
        let compare = WireCompare<[UInt8]>(result: .equal, target: .version, key: [0x6b], operand: .version(0))
        #expect(compare.encoded() == [0x1a, 1, 0x6b, 0x20, 0])
        #expect(try compare.encoded().withUnsafeBytes { try CompareView(decoding: $0).owned } == compare)
    }

    @Test func `a transaction with more operations than allowed is refused before they are kept`() {
        let bytes = Array(repeating: [0x12, 0x00] as [UInt8], count: 129).flatMap { $0 }
        bytes.withUnsafeBytes { raw in
            #expect(throws: WireError.tooManyElements(field: 2)) {
                _ = try TxnRequestView(decoding: raw, elementsMax: 128)
            }
            #expect(throws: Never.self) { _ = try TxnRequestView(decoding: raw, elementsMax: 129) }
        }
    }

    @Test func `a range can be written pair by pair with its header last`() throws {
        var random = SeededRandom(seed: 5)
        for _ in 0..<200 {
            var expected = RangeResponseView.random(&random)
            expected.header = WireHeader.random(&random)
            let bytes: [UInt8] = try expected.serializedBytes()
            let streamed: [UInt8] = try bytes.withUnsafeBytes { raw in
                let response = try RangeResponseView(decoding: raw)
                var output: [UInt8] = []
                for pair in response.kvs {
                    let before = output.count
                    WireRangeResponseStream.append(pair, to: &output)
                    #expect(output.count - before == WireRangeResponseStream.size(of: pair))
                }
                let before = output.count
                WireRangeResponseStream.finish(
                    header: response.header!, more: response.more, count: response.count, to: &output)
                #expect(output.count - before <= WireRangeResponseStream.tailSizeMax)
                return output
            }
            #expect(try Etcdserverpb_RangeResponse(serializedBytes: streamed) == expected)
        }
    }

    @Test func `events that were encoded once go behind the head of any watch`() throws {
        let event = WireEvent<[UInt8]>(
            isDelete: false, kv: WireKeyValue(key: [1], createRevision: 2, modRevision: 3, version: 4, value: [5]))
        var shared: [UInt8] = []
        WireWatchEvents.append(event, to: &shared)
        #expect(shared.count == WireWatchEvents.size(of: event))
        let header = WireHeader(clusterID: 1, memberID: 2, revision: 3, raftTerm: 4)
        let head = WireWatchResponse<[UInt8]>(header: header, watchID: 7)
        let whole = WireWatchResponse<[UInt8]>(header: header, watchID: 7, events: [event])
        #expect(head.encoded() + shared == whole.encoded())
    }

    @Test func `the largest header fits the room that is kept for it`() {
        let header = WireHeader(clusterID: .max, memberID: .max, revision: -1, raftTerm: .max)
        var output: [UInt8] = []
        WireRangeResponseStream.finish(header: header, more: true, count: -1, to: &output)
        #expect(output.count == WireRangeResponseStream.tailSizeMax)
    }
}
