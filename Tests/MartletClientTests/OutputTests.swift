import EtcdAPI
import MartletClient
import SwiftProtobuf
import Testing

/// Every expectation was printed by etcdctl 3.5.1 for the same answer of an etcd 3.5.1.
struct OutputTests {
    private let header = WireHeader(
        clusterID: 17_237_436_991_929_493_444, memberID: 9_372_538_179_322_589_801, revision: 4, raftTerm: 2)
    private let foo = WireKeyValue<[UInt8]>(
        key: Array("foo".utf8), createRevision: 2, modRevision: 3, version: 2, value: Array("bar2".utf8))
    private let headerFields = """
        "ClusterID" : 17237436991929493444
        "MemberID" : 9372538179322589801
        "Revision" : 4
        "RaftTerm" : 2

        """
    private let headerJSON =
        #""header":{"cluster_id":17237436991929493444,"member_id":9372538179322589801,"revision":4,"raft_term":2}"#

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test func `put`() throws {
        let plain = WirePutResponse<[UInt8]>(header: header)
        let previous = WirePutResponse(header: header, prevKV: foo)
        #expect(try text(KeyValueOutput.put(plain, .simple)) == "OK\n")
        #expect(try text(KeyValueOutput.put(previous, .simple)) == "OK\nfoo\nbar2\n")
        #expect(try text(KeyValueOutput.put(plain, .json)) == "{\(headerJSON)}\n")
        #expect(
            try text(KeyValueOutput.put(previous, .json))
                == "{\(headerJSON),"
                + #""prev_kv":{"key":"Zm9v","create_revision":2,"mod_revision":3,"version":2,"value":"YmFyMg=="}}"#
                + "\n")
        #expect(
            try text(KeyValueOutput.put(previous, .fields)) == headerFields + """
                "PrevKey" : "foo"
                "PrevCreateRevision" : 2
                "PrevModRevision" : 3
                "PrevVersion" : 2
                "PrevValue" : "bar2"
                "PrevLease" : 0

                """)
        #expect(throws: UnsupportedFormat(format: .table)) { try KeyValueOutput.put(plain, .table) }
    }

    @Test func `get`() throws {
        let response = WireRangeResponse(header: header, kvs: [foo], more: true, count: 2)
        #expect(try text(KeyValueOutput.get(response, .simple)) == "foo\nbar2\n")
        #expect(try text(KeyValueOutput.get(response, .simple, hex: true)) == "\\x66\\x6f\\x6f\n\\x62\\x61\\x72\\x32\n")
        #expect(try text(KeyValueOutput.get(response, .simple, valuesOnly: true)) == "bar2\n")
        #expect(
            try text(KeyValueOutput.get(response, .json))
                == "{\(headerJSON),"
                + #""kvs":[{"key":"Zm9v","create_revision":2,"mod_revision":3,"version":2,"value":"YmFyMg=="}],"#
                + #""more":true,"count":2}"# + "\n")
        #expect(
            try text(KeyValueOutput.get(response, .fields)) == headerFields + """
                "Key" : "foo"
                "CreateRevision" : 2
                "ModRevision" : 3
                "Version" : 2
                "Value" : "bar2"
                "Lease" : 0
                "More" : true
                "Count" : 2

                """)
        #expect(throws: UnsupportedFormat(format: .table)) { try KeyValueOutput.get(response, .table) }
    }

    @Test func `get, where there is nothing`() throws {
        let response = WireRangeResponse<[UInt8]>(header: header, kvs: [], more: false, count: 0)
        #expect(try text(KeyValueOutput.get(response, .simple)) == "")
        #expect(try text(KeyValueOutput.get(response, .json)) == "{\(headerJSON)}\n")
        #expect(
            try text(KeyValueOutput.get(response, .fields)) == headerFields + "\"More\" : false\n\"Count\" : 0\n")
    }

    @Test func `get of keys that are no text keeps their bytes`() throws {
        let response = WireRangeResponse(
            header: header, kvs: [WireKeyValue<[UInt8]>(key: [0xff, 0], value: [0x80])], more: false, count: 1)
        #expect(try KeyValueOutput.get(response, .simple) == [0xff, 0, 0x0a, 0x80, 0x0a])
    }

    @Test func `del`() throws {
        let response = WireDeleteRangeResponse(header: header, deleted: 1, prevKVs: [foo])
        #expect(try text(KeyValueOutput.delete(response, .simple)) == "1\nfoo\nbar2\n")
        #expect(
            try text(KeyValueOutput.delete(response, .json))
                == "{\(headerJSON),"
                + #""deleted":1,"#
                + #""prev_kvs":[{"key":"Zm9v","create_revision":2,"mod_revision":3,"version":2,"value":"YmFyMg=="}]}"#
                + "\n")
        #expect(
            try text(KeyValueOutput.delete(response, .fields)) == headerFields + """
                "Deleted" : 1
                "PrevKey" : "foo"
                "PrevCreateRevision" : 2
                "PrevModRevision" : 3
                "PrevVersion" : 2
                "PrevValue" : "bar2"
                "PrevLease" : 0

                """)
        let nothing = WireDeleteRangeResponse<[UInt8]>(header: header, deleted: 0)
        #expect(try text(KeyValueOutput.delete(nothing, .simple)) == "0\n")
        #expect(try text(KeyValueOutput.delete(nothing, .json)) == "{\(headerJSON)}\n")
    }

    private let statuses = [
        ClusterOutput.Status(
            endpoint: "127.0.0.1:17379",
            response: .with {
                $0.header = .with {
                    $0.clusterID = 17_237_436_991_929_493_444
                    $0.memberID = 9_372_538_179_322_589_801
                    $0.revision = 9
                    $0.raftTerm = 2
                }
                $0.version = "3.5.1"
                $0.dbSize = 20_480
                $0.leader = 10_501_334_649_042_878_790
                $0.raftIndex = 21
                $0.raftTerm = 2
                $0.raftAppliedIndex = 21
                $0.dbSizeInUse = 16_384
            }),
        ClusterOutput.Status(
            endpoint: "127.0.0.1:27379",
            response: .with {
                $0.header = .with {
                    $0.clusterID = 17_237_436_991_929_493_444
                    $0.memberID = 10_501_334_649_042_878_790
                    $0.revision = 9
                    $0.raftTerm = 2
                }
                $0.version = "3.5.1"
                $0.dbSize = 24_576
                $0.leader = 10_501_334_649_042_878_790
                $0.raftIndex = 21
                $0.raftTerm = 2
                $0.raftAppliedIndex = 21
                $0.dbSizeInUse = 16_384
            }),
    ]

    @Test func `endpoint status, simple and as a table`() throws {
        #expect(
            try ClusterOutput.status(statuses, .simple)
                == "127.0.0.1:17379, 8211f1d0f64f3269, 3.5.1, 20 kB, false, false, 2, 21, 21, \n"
                + "127.0.0.1:27379, 91bc3c398fb3c146, 3.5.1, 25 kB, true, false, 2, 21, 21, \n")
        // The lines are longer than ours may be: they are put together.
        let cells = [
            ("    ENDPOINT     ", " 127.0.0.1:17379 ", " 127.0.0.1:27379 "),
            ("        ID        ", " 8211f1d0f64f3269 ", " 91bc3c398fb3c146 "),
            (" VERSION ", "   3.5.1 ", "   3.5.1 "), (" DB SIZE ", "   20 kB ", "   25 kB "),
            (" IS LEADER ", "     false ", "      true "), (" IS LEARNER ", "      false ", "      false "),
            (" RAFT TERM ", "         2 ", "         2 "), (" RAFT INDEX ", "         21 ", "         21 "),
            (" RAFT APPLIED INDEX ", "                 21 ", "                 21 "),
            (" ERRORS ", "        ", "        "),
        ]
        let rule = "+" + cells.map { String(repeating: "-", count: $0.0.count) + "+" }.joined()
        let lines = [
            rule, "|" + cells.map { $0.0 + "|" }.joined(), rule, "|" + cells.map { $0.1 + "|" }.joined(),
            "|" + cells.map { $0.2 + "|" }.joined(), rule,
        ]
        #expect(try ClusterOutput.status(statuses, .table) == lines.joined(separator: "\n") + "\n")
    }

    @Test func `endpoint status as JSON and fields`() throws {
        let first = #"{"cluster_id":17237436991929493444,"member_id":9372538179322589801,"revision":9,"raft_term":2}"#
        let second = #"{"cluster_id":17237436991929493444,"member_id":10501334649042878790,"revision":9,"raft_term":2}"#
        let rest =
            #""leader":10501334649042878790,"raftIndex":21,"raftTerm":2,"raftAppliedIndex":21,"dbSizeInUse":16384}}"#
        #expect(
            try ClusterOutput.status(statuses, .json)
                == #"[{"Endpoint":"127.0.0.1:17379","Status":{"header":\#(first),"version":"3.5.1","#
                + #""dbSize":20480,\#(rest),"#
                + #"{"Endpoint":"127.0.0.1:27379","Status":{"header":\#(second),"version":"3.5.1","dbSize":24576,"#
                + #"\#(rest)]"#
                + "\n")
        #expect(
            try ClusterOutput.status([statuses[0]], .fields) == """
                "ClusterID" : 17237436991929493444
                "MemberID" : 9372538179322589801
                "Revision" : 9
                "RaftTerm" : 2
                "Version" : "3.5.1"
                "DBSize" : 20480
                "Leader" : 10501334649042878790
                "IsLearner" : false
                "RaftIndex" : 21
                "RaftTerm" : 2
                "RaftAppliedIndex" : 21
                "Errors" : []
                "Endpoint" : "127.0.0.1:17379"


                """)
    }

    @Test func `endpoint health`() throws {
        let healths = [
            ClusterOutput.Health(endpoint: "127.0.0.1:17379", took: .nanoseconds(3_512_191), error: nil),
            ClusterOutput.Health(
                endpoint: "127.0.0.1:1", took: .nanoseconds(1_000_375_651), error: "context deadline exceeded"),
        ]
        let simple = try ClusterOutput.health(healths, .simple)
        #expect(simple.output == "127.0.0.1:17379 is healthy: successfully committed proposal: took = 3.512191ms\n")
        #expect(simple.errors == "127.0.0.1:1 is unhealthy: failed to commit proposal: context deadline exceeded\n")
        #expect(
            try ClusterOutput.health(healths, .json).output
                == #"[{"endpoint":"127.0.0.1:17379","health":true,"took":"3.512191ms"},"#
                + #"{"endpoint":"127.0.0.1:1","health":false,"took":"1.000375651s","error":"context deadline "#
                + #"exceeded"}]"#
                + "\n")
        #expect(
            try ClusterOutput.health([healths[1]], .table).output == """
                +-------------+--------+--------------+---------------------------+
                |  ENDPOINT   | HEALTH |     TOOK     |           ERROR           |
                +-------------+--------+--------------+---------------------------+
                | 127.0.0.1:1 |  false | 1.000375651s | context deadline exceeded |
                +-------------+--------+--------------+---------------------------+

                """)
        #expect(
            try ClusterOutput.health([healths[1]], .fields).output == """
                "Endpoint" : "127.0.0.1:1"
                "Health" : false
                "Took" : 1.000375651s
                "Error" : context deadline exceeded


                """)
    }

    @Test func `endpoint hashkv`() throws {
        let hash = ClusterOutput.HashKV(
            endpoint: "127.0.0.1:17379",
            response: .with {
                $0.header = .with {
                    $0.clusterID = 17_237_436_991_929_493_444
                    $0.memberID = 9_372_538_179_322_589_801
                    $0.revision = 9
                    $0.raftTerm = 2
                }
                $0.hash = 512_458_485
                $0.compactRevision = -1
            })
        #expect(try ClusterOutput.hashKV([hash], .simple) == "127.0.0.1:17379, 512458485\n")
        #expect(
            try ClusterOutput.hashKV([hash], .table) == """
                +-----------------+-----------+
                |    ENDPOINT     |   HASH    |
                +-----------------+-----------+
                | 127.0.0.1:17379 | 512458485 |
                +-----------------+-----------+

                """)
        #expect(
            try ClusterOutput.hashKV([hash], .json)
                == #"[{"Endpoint":"127.0.0.1:17379","HashKV":{"header":{"cluster_id":17237436991929493444,"#
                + #""member_id":9372538179322589801,"revision":9,"raft_term":2},"hash":512458485,"#
                + #""compact_revision":-1}}]"#
                + "\n")
        #expect(
            try ClusterOutput.hashKV([hash], .fields) == """
                "ClusterID" : 17237436991929493444
                "MemberID" : 9372538179322589801
                "Revision" : 9
                "RaftTerm" : 2
                "Endpoint" : "127.0.0.1:17379"
                "Hash" : 512458485


                """)
    }

    private let members = Etcdserverpb_MemberListResponse.with {
        $0.header = .with {
            $0.clusterID = 17_237_436_991_929_493_444
            $0.memberID = 18_249_187_646_912_138_824
            $0.raftTerm = 2
        }
        $0.members = [
            .with {
                $0.id = 9_372_538_179_322_589_801
                $0.name = "infra1"
                $0.peerUrls = ["http://127.0.0.1:12380"]
                $0.clientUrls = ["http://127.0.0.1:17379"]
            },
            .with {
                $0.id = 18_249_187_646_912_138_824
                $0.peerUrls = ["http://127.0.0.1:32380", "http://[::1]:32380"]
                $0.isLearner = true
            },
        ]
    }

    @Test func `what changes the members prints, as etcdctl does`() throws {
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        var added = Etcdserverpb_MemberAddResponse()
        added.header = members.header
        added.members = members.members
        added.member = members.members[1]
        added.member.isLearner = false
        #expect(
            text(try MembershipOutput.add(added, name: "infra2", urls: "http://127.0.0.1:32380", .simple)) == """
                Member fd422379fda50e48 added to cluster ef37ad9dc622a7c4

                ETCD_NAME="infra2"
                ETCD_INITIAL_CLUSTER="infra1=http://127.0.0.1:12380,\
                infra2=http://127.0.0.1:32380,infra2=http://[::1]:32380"
                ETCD_INITIAL_ADVERTISE_PEER_URLS="http://127.0.0.1:32380"
                ETCD_INITIAL_CLUSTER_STATE="existing"

                """)
        added.member.isLearner = true
        #expect(
            text(try MembershipOutput.add(added, name: "n", urls: "u", .simple))
                .hasPrefix("Member fd422379fda50e48 added as learner to cluster ef37ad9dc622a7c4\n"))
        added.members = []
        #expect(
            text(try MembershipOutput.add(added, name: "n", urls: "u", .json))
                == #"{"header":{"cluster_id":17237436991929493444,"member_id":18249187646912138824,"raft_term":2},"#
                + #""member":{"ID":18249187646912138824,"#
                + #""peerURLs":["http://127.0.0.1:32380","http://[::1]:32380"],"isLearner":true}}"# + "\n")
        for format in [OutputFormat.table, .fields] {
            #expect(throws: UnsupportedFormat(format: format)) {
                try MembershipOutput.add(added, name: "n", urls: "u", format)
            }
        }
        let removed = Etcdserverpb_MemberRemoveResponse.with { $0.header = members.header }
        #expect(
            text(try MembershipOutput.remove(removed, id: 0xabc, .simple))
                == "Member              abc removed from cluster ef37ad9dc622a7c4\n")
        let updated = Etcdserverpb_MemberUpdateResponse.with { $0.header = members.header }
        #expect(
            text(try MembershipOutput.update(updated, id: 0x8211_f1d0_f64f_3269, .simple))
                == "Member 8211f1d0f64f3269 updated in cluster ef37ad9dc622a7c4\n")
        let promoted = Etcdserverpb_MemberPromoteResponse.with { $0.header = members.header }
        #expect(
            text(try MembershipOutput.promote(promoted, id: 0x8211_f1d0_f64f_3269, .simple))
                == "Member 8211f1d0f64f3269 promoted in cluster ef37ad9dc622a7c4\n")
        #expect(
            text(try MembershipOutput.moveLeader(.init(), from: 0xa1, to: 0xb2, .simple))
                == "Leadership transferred from a1 to b2\n")
        #expect(text(try MembershipOutput.moveLeader(.init(), from: 0xa1, to: 0xb2, .json)) == "{}\n")
    }

    @Test func `member list`() throws {
        #expect(
            text(ClusterOutput.memberList(members, .simple))
                == "8211f1d0f64f3269, started, infra1, http://127.0.0.1:12380, http://127.0.0.1:17379, false\n"
                + "fd422379fda50e48, unstarted, , http://127.0.0.1:32380,http://[::1]:32380, , true\n")
        #expect(
            text(ClusterOutput.memberList(members, .json))
                == #"{"header":{"cluster_id":17237436991929493444,"member_id":18249187646912138824,"raft_term":2},"#
                + #""members":[{"ID":9372538179322589801,"name":"infra1","peerURLs":["http://127.0.0.1:12380"],"#
                + #""clientURLs":["http://127.0.0.1:17379"]},{"ID":18249187646912138824,"#
                + #""peerURLs":["http://127.0.0.1:32380","http://[::1]:32380"],"isLearner":true}]}"# + "\n")
        #expect(
            text(
                ClusterOutput.memberList(
                    .with {
                        $0.header = members.header; $0.members = [members.members[0]]
                    }, .json, hex: true))
                == #"{"header":{"cluster_id":"ef37ad9dc622a7c4","member_id":"fd422379fda50e48","raft_term":2},"#
                + #""members":[{"ID":"8211f1d0f64f3269","name":"infra1","peerURLs":["http://127.0.0.1:12380"],"#
                + #""clientURLS":["http://127.0.0.1:17379"]}]}"# + "\n")
        #expect(
            text(ClusterOutput.memberList(members, .fields)).hasSuffix(
                """
                "ID" : 18249187646912138824
                "Name" : ""
                "PeerURL" : "http://127.0.0.1:32380"
                "PeerURL" : "http://[::1]:32380"
                "IsLearner" : true


                """))
    }

    @Test func `a table is as wide as its widest cells`() throws {
        var table = TextTable(["A", "LONG HEADING"])
        table.append(["wide cell", "x"])
        #expect(
            table.text == """
                +-----------+--------------+
                |     A     | LONG HEADING |
                +-----------+--------------+
                | wide cell |            x |
                +-----------+--------------+

                """)
    }
}
