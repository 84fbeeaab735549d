import EtcdAPI
import Foundation
import SwiftProtobuf
import Testing

@testable import MartletClient

/// What etcdctl 3.5.1 printed for the same answers.
struct CommandOutputTests {
    private let header = WireHeader(clusterID: 15, memberID: 6, revision: 38, raftTerm: 2)

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private var transaction: WireTxnResponse<[UInt8]> {
        let inner = WireHeader(clusterID: 0, memberID: 0, revision: 38, raftTerm: 0)
        let kv = WireKeyValue<[UInt8]>(
            key: Array("a".utf8), createRevision: 2, modRevision: 10, version: 4, value: Array("x".utf8))
        var range = WireRangeResponse<[UInt8]>()
        range.header = inner
        range.kvs = [kv]
        range.count = 1
        return WireTxnResponse(
            header: header, succeeded: true,
            responses: [
                .put(WirePutResponse(header: inner)), .range(range),
                .deleteRange(WireDeleteRangeResponse(header: inner, deleted: 1, prevKVs: [kv])),
            ])
    }

    @Test func `a transaction's answers`() throws {
        #expect(text(try KeyValueOutput.txn(transaction, .simple)) == "SUCCESS\n\nOK\n\na\nx\n\n1\na\nx\n")
        #expect(
            text(try KeyValueOutput.txn(transaction, .json))
                == #"{"header":{"cluster_id":15,"member_id":6,"revision":38,"raft_term":2},"succeeded":true,"#
                + #""responses":[{"Response":{"response_put":{"header":{"revision":38}}}},"#
                + #"{"Response":{"response_range":{"header":{"revision":38},"kvs":[{"key":"YQ==","#
                + #""create_revision":2,"mod_revision":10,"version":4,"value":"eA=="}],"count":1}}},"#
                + #"{"Response":{"response_delete_range":{"header":{"revision":38},"deleted":1,"#
                + #""prev_kvs":[{"key":"YQ==","create_revision":2,"mod_revision":10,"version":4,"#
                + #""value":"eA=="}]}}}]}"# + "\n")
        #expect(
            text(try KeyValueOutput.txn(transaction, .fields)).hasPrefix(
                """
                "ClusterID" : 15
                "MemberID" : 6
                "Revision" : 38
                "RaftTerm" : 2
                "Succeeded" : true
                "ClusterID" : 0
                "MemberID" : 0
                "Revision" : 38
                "RaftTerm" : 0
                "ClusterID" : 0

                """))
        #expect(throws: UnsupportedFormat(format: .table)) { try KeyValueOutput.txn(transaction, .table) }
        #expect(try KeyValueOutput.txn(transaction, .protobuf) == transaction.encoded())
        let failed = WireTxnResponse<[UInt8]>(header: header, succeeded: false, responses: [])
        #expect(text(try KeyValueOutput.txn(failed, .simple)) == "FAILURE\n")
        #expect(!text(try KeyValueOutput.txn(failed, .json)).contains("succeeded"))
    }

    private var watched: WireWatchResponse<[UInt8]> {
        let put = WireKeyValue<[UInt8]>(
            key: Array("w1".utf8), createRevision: 11, modRevision: 13, version: 2, value: Array("v2".utf8))
        let before = WireKeyValue<[UInt8]>(
            key: Array("w1".utf8), createRevision: 11, modRevision: 11, version: 1, value: Array("v\"1".utf8))
        let gone = WireKeyValue<[UInt8]>(key: Array("w1".utf8), modRevision: 14)
        return WireWatchResponse(
            header: header, watchID: 0,
            events: [WireEvent(isDelete: false, kv: put, prevKV: before), WireEvent(isDelete: true, kv: gone)])
    }

    @Test func `a watch's events`() throws {
        #expect(
            text(try WatchOutput.response(watched, .simple)) == "PUT\nw1\nv\"1\nw1\nv2\nDELETE\nw1\n\n")
        #expect(text(try WatchOutput.response(watched, .simple, hex: true)).hasSuffix("DELETE\n\\x77\\x31\n\n"))
        #expect(
            text(try WatchOutput.response(watched, .json))
                == #"{"Header":{"cluster_id":15,"member_id":6,"revision":38,"raft_term":2},"#
                + #""Events":[{"kv":{"key":"dzE=","create_revision":11,"mod_revision":13,"version":2,"#
                + #""value":"djI="},"prev_kv":{"key":"dzE=","create_revision":11,"mod_revision":11,"#
                + #""version":1,"value":"diIx"}},{"type":1,"kv":{"key":"dzE=","mod_revision":14}}],"#
                + #""CompactRevision":0,"Canceled":false,"Created":false}"# + "\n")
        let fields = text(try WatchOutput.response(watched, .fields))
        #expect(fields.contains("\"RaftTerm\" : 2\n\"Type\" : PUT\n\"PrevKey\" : \"w1\"\n"))
        #expect(fields.hasSuffix("\"Version\" : 0\n\"Value\" : \"\"\n\"Lease\" : 0\n"))
        #expect(throws: UnsupportedFormat(format: .table)) { try WatchOutput.response(watched, .table) }
    }

    @Test func `a watch that the server has canceled says why`() throws {
        var canceled = WireWatchResponse<[UInt8]>(header: header, watchID: 0)
        #expect(canceled.cancellation == nil && canceled.isProgress)
        canceled.canceled = true
        canceled.cancelReason = "etcdserver: permission denied"
        #expect(canceled.cancellation == "etcdserver: permission denied" && !canceled.isProgress)
        canceled.compactRevision = 4
        #expect(canceled.cancellation == "etcdserver: mvcc: required revision has been compacted")
        #expect(
            text(try WatchOutput.response(canceled, .json)).hasSuffix(
                #""Events":[],"CompactRevision":4,"Canceled":true,"Created":false}"# + "\n"))
    }

    @Test func `leases`() throws {
        let id: Int64 = 0x2e46_a1ff_240a_660c
        let pbHeader = Etcdserverpb_ResponseHeader.with {
            $0.clusterID = 15; $0.memberID = 6; $0.revision = 2; $0.raftTerm = 2
        }
        let granted = Etcdserverpb_LeaseGrantResponse.with {
            $0.header = pbHeader; $0.id = id; $0.ttl = 100
        }
        #expect(text(try LeaseOutput.grant(granted, .simple)) == "lease 2e46a1ff240a660c granted with TTL(100s)\n")
        #expect(
            text(try LeaseOutput.grant(granted, .json))
                == #"{"cluster_id":15,"member_id":6,"revision":2,"raft_term":2,"ID":3334530691307824652,"TTL":100,"#
                + #""Error":""}"# + "\n")
        #expect(
            text(try LeaseOutput.grant(granted, .fields)).hasSuffix("\"ID\" : 3334530691307824652\n\"TTL\" : 100\n"))
        var left = Etcdserverpb_LeaseTimeToLiveResponse.with {
            $0.header = pbHeader; $0.id = id; $0.ttl = 98; $0.grantedTtl = 100
        }
        #expect(
            text(try LeaseOutput.timeToLive(left, keys: false, .json)).hasSuffix(
                #""id":3334530691307824652,"ttl":98,"granted-ttl":100,"keys":null}"# + "\n"))
        left.keys = [Data("k1".utf8), Data("k2".utf8)]
        #expect(
            text(try LeaseOutput.timeToLive(left, keys: true, .simple))
                == "lease 2e46a1ff240a660c granted with TTL(100s), remaining(98s), attached keys([k1 k2])\n")
        #expect(text(try LeaseOutput.timeToLive(left, keys: true, .json)).hasSuffix(#""keys":["azE=","azI="]}"# + "\n"))
        let gone = Etcdserverpb_LeaseTimeToLiveResponse.with {
            $0.id = 0x123; $0.ttl = -1
        }
        #expect(
            text(try LeaseOutput.timeToLive(gone, keys: false, .simple)) == "lease 0000000000000123 already expired\n")
        let list = Etcdserverpb_LeaseLeasesResponse.with {
            $0.header = pbHeader; $0.leases = [.with { $0.id = 0x123 }]
        }
        #expect(text(try LeaseOutput.list(list, .simple)) == "found 1 leases\n0000000000000123\n")
        #expect(text(try LeaseOutput.list(list, .json)).hasSuffix(#""leases":[{"id":291}]}"# + "\n"))
        let renewed = WireLeaseKeepAliveResponse(header: header, id: 0x123, ttl: 7)
        #expect(
            text(try LeaseOutput.keepAlive(renewed, .simple)) == "lease 0000000000000123 keepalived with TTL(7)\n")
        #expect(text(try LeaseOutput.keepAlive(renewed, .json)).hasSuffix(#""ID":291,"TTL":7}"# + "\n"))
        let revoked = WireHeaderOnlyResponse(header: header)
        #expect(text(try LeaseOutput.revoke(revoked, id: 0x123, .simple)) == "lease 0000000000000123 revoked\n")
        #expect(throws: UnsupportedFormat(format: .protobuf)) {
            try LeaseOutput.revoke(revoked, id: 1, .protobuf)
        }
    }

    @Test func `alarms`() throws {
        let response = Etcdserverpb_AlarmResponse.with {
            $0.alarms = [
                .with {
                    $0.memberID = 6; $0.alarm = .nospace
                }
            ]
        }
        #expect(text(try AlarmOutput.alarms(response, .simple)) == "memberID:6 alarm:NOSPACE \n")
        #expect(text(try AlarmOutput.alarms(response, .json)) == #"{"alarms":[{"memberID":6,"alarm":1}]}"# + "\n")
        #expect(text(try AlarmOutput.alarms(response, .fields)) == "\"MemberID\" : 6\n\"AlarmType\" : NOSPACE\n\n")
    }

    @Test(
        arguments: [
            (#""a" rest"#, "a", 3), (#""a\"b""#, "a\"b", 6), (#""\x41\102\u00e4\n""#, "ABä\n", 18), ("`a\\`", "a\\", 4),
        ] as [(String, String, Int)])
    func `Go's literals are read as far as they go`(literal: String, value: String, length: Int) throws {
        let read = try #require(GoText.unquoted(literal.utf8))
        #expect(read.bytes == Array(value.utf8) && read.length == length)
    }

    @Test(arguments: ["", "a", "\"a", "\"\\z\"", "\"\\x4\"", "\"\\400\"", "\"\\ud800\"", "`a", "\"a\nb\"", "\"\\"])
    func `what is no literal of Go's is refused`(text: String) {
        #expect(GoText.unquoted(text.utf8) == nil)
    }

    @Test func `a mirror's transactions have a size`() {
        let small = WireRequestOp<[UInt8]>.put(WirePutRequest(key: [1], value: [2]))
        #expect(Mirror.batches([], operationsMax: 2).isEmpty)
        #expect(Mirror.batches(Array(repeating: small, count: 5), operationsMax: 2).map(\.count) == [2, 2, 1])
        let large = WireRequestOp<[UInt8]>.put(WirePutRequest(key: [1], value: Array(repeating: 0, count: 700_000)))
        #expect(Mirror.batches([large, large, small], operationsMax: 10).map(\.count) == [1, 2])
    }

    @Test func `a metric is found by its whole name`() {
        let page = "# HELP x\nprocess_resident_memory_bytes_total 5\nprocess_resident_memory_bytes 1.5e+07\n"
        #expect(MetricsPage.value(of: "process_resident_memory_bytes", in: page) == 1.5e7)
        #expect(MetricsPage.value(of: "process", in: page) == nil)
    }
}
