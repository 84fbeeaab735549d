import Foundation
import NIOCore
import PeerTransport
import PeerTransportNIO
import RaftCore
import Replica
import Testing

@testable import MartletServer

@Suite struct ClusterJoinTests {
    private static func answer(
        _ members: [PeerMember], cluster: String? = "abc", status: Int = 200
    ) -> Result<HTTPAsk.Answer, HTTPAsk.Failure> {
        var fields: [String: String] = [:]
        if let cluster { fields["x-etcd-cluster-id"] = cluster }
        return .success(HTTPAsk.Answer(status: status, fields: fields, body: encoded(members)))
    }

    private static func member(_ id: UInt64, _ port: Int, _ name: String? = nil) -> PeerMember {
        PeerMember(id: id, peerURLs: ["http://10.0.0.1:\(port)"], name: name)
    }

    private static let old = [member(1, 10_001, "m1"), member(2, 10_002, "m2")]
    private static let new = member(3, 10_003)

    /// m3 asks m1 and m2, which answer as they are made to.
    private func find(
        isPrepared: Bool = false, count: Int = 3,
        _ answer: @escaping (_ port: Int, _ call: Int) -> Result<HTTPAsk.Answer, HTTPAsk.Failure>
    ) throws -> (found: ClusterJoin.Found, asked: [Int]) {
        let configuration = try configuration(count, of: count, in: "/nowhere", state: .existing)
        var asked: [Int] = []
        var join = ClusterJoin(configuration: configuration, logger: quietLogger)
        join.pause = {}
        join.get = { url in
            asked.append(url.port)
            return answer(url.port, asked.count)
        }
        return (try join.find(isPrepared: isPrepared), asked)
    }

    private func sentence(
        isPrepared: Bool = false, count: Int = 3,
        _ answer: @escaping (_ port: Int, _ call: Int) -> Result<HTTPAsk.Answer, HTTPAsk.Failure>
    ) throws -> String {
        do {
            let found = try find(isPrepared: isPrepared, count: count, answer)
            return "found \(found)"
        } catch let error as ConfigurationError {
            return error.message
        }
    }

    @Test func `a member finds the cluster and itself by its addresses`() throws {
        let (found, asked) = try find { _, _ in Self.answer(Self.old + [Self.new]) }
        #expect(found.clusterID == 0xabc && found.own == Self.new && found.others == Self.old)
        #expect(asked == [10_001] || asked == [10_002])
        #expect(
            found.addresses == [
                PeerAddress(node: NodeID(1), endpoints: ["10.0.0.1:10001"]),
                PeerAddress(node: NodeID(2), endpoints: ["10.0.0.1:10002"]),
            ])
    }

    @Test func `who does not answer, or has not heard of the new member yet, is not the last to be asked`() throws {
        let (found, asked) = try find { port, call in
            call < 4 && port == 10_002
                ? .failure(.init(description: "refused")) : Self.answer(call < 4 ? Self.old : Self.old + [Self.new])
        }
        #expect(found.own.id == 3)
        #expect(asked.count >= 3)
    }

    @Test func `who was not added is told how`() throws {
        let text = try sentence { _, _ in Self.answer(Self.old) }
        #expect(text.contains("martlet member add m3 --peer-urls http://10.0.0.1:10003"))
        #expect(text.contains("m1 at http://10.0.0.1:10001; m2 at http://10.0.0.1:10002"))
        #expect(text.contains("abc"))
    }

    @Test func `nobody answers`() throws {
        var calls = 0
        let text = try sentence { _, call in
            calls = call
            return .failure(.init(description: "Connection refused"))
        }
        #expect(text.contains("http://10.0.0.1:10001: Connection refused"))
        #expect(calls == 2 * ClusterJoin.roundsMax)
        #expect(try sentence(count: 1) { _, _ in Self.answer(Self.old) }.contains("nobody besides m1"))
    }

    @Test func `other than was said, each with its sentence`() throws {
        let halfMoved = PeerMember(id: 3, peerURLs: ["http://10.0.0.1:10003", "http://other:1"])
        #expect(
            try sentence { _, _ in Self.answer(Self.old + [halfMoved]) }.contains("both must name the same URLs"))
        #expect(
            try sentence { _, _ in Self.answer([Self.old[0], Self.member(2, 5), Self.new]) }
                .contains("--initial-cluster has m2 at http://10.0.0.1:10002, where the cluster abc has no member"))
        #expect(
            try sentence { _, _ in Self.answer(Self.old + [Self.member(3, 10_003, "m3")]) }
                .contains("has been started before"))
        let again = try find(isPrepared: true) { _, _ in Self.answer(Self.old + [Self.member(3, 10_003, "m3")]) }
        #expect(again.found.own.id == 3)
    }

    @Test func `somebody else answers`() throws {
        #expect(try sentence { _, _ in Self.answer(Self.old, cluster: nil) }.contains("not as a member of a cluster"))
        #expect(try sentence { _, _ in Self.answer(Self.old, cluster: "xyz!") }.contains("not as a member"))
        #expect(try sentence { _, _ in Self.answer(Self.old, status: 404) }.contains("HTTP status 404"))
        let garbage = HTTPAsk.Answer(status: 200, fields: ["x-etcd-cluster-id": "1"], body: Array("[{]".utf8))
        #expect(try sentence { _, _ in .success(garbage) }.contains("cannot be read"))
    }
}

/// The two ends of it, on real sockets.
@Suite struct PeerRoutesTests {
    private final class Nobody: PeerReceiver {
        func received(_ messages: [Message]) {}
        func unreachable(_ node: NodeID) {}
        func gone(_ node: NodeID) {}
        func beginSnapshot(_ description: Message) -> (any SnapshotSink)? { nil }
    }

    private func withPort(_ body: (ServerURL) throws -> Void) throws {
        let members = [
            Member(id: 0xfedc_ba98_7654_3210, name: "a \"b\"", peerURLs: ["http://h:1"], clientURLs: ["http://c:1"]),
            Member(id: 0xfedc_ba98_7654_3211, name: "", peerURLs: ["http://h:2", "http://h:3"], clientURLs: []),
        ]
        let roster = MemberRoster(
            clusterID: 0x1234_5678_9abc_def0, own: members[0].id,
            membership: ReplicaMembership(
                members: members, removed: [],
                configuration: Configuration(voters: [members[0].id], learners: [members[1].id])),
            hints: [], leaversKept: .seconds(1), logger: quietLogger)
        var options = NIOPeerTransportOptions(
            node: members[0].id, cluster: roster.clusterID, listenAddresses: ["127.0.0.1:0"], seed: 1)
        options.timings.pingInterval = .milliseconds(50)
        options.timings.handshakeTimeout = .seconds(1)
        options.configureHTTP = { try PeerRoutes(roster: roster).configure($0) }
        let transport = NIOPeerTransport(options, eventLoops: .own(threads: 1))
        try transport.start(receiver: Nobody())
        defer { transport.stop() }
        try body(ServerURL(host: "127.0.0.1", port: transport.boundPorts[0]))
    }

    @Test func `members are told as etcd tells them, ids whole`() throws {
        try withPort { url in
            let answer = try HTTPAsk.ask(url, .init(path: "/members"), timeout: .seconds(5))
            #expect(answer.status == 200)
            #expect(answer["X-Etcd-Cluster-ID"] == "123456789abcdef0")
            #expect(answer["content-type"] == "application/json")
            #expect(
                String(decoding: answer.body, as: UTF8.self)
                    == #"[{"clientURLs":["http://c:1"],"id":18364758544493064720,"name":"a \"b\"","#
                    + #""peerURLs":["http://h:1"]},"#
                    + #"{"id":18364758544493064721,"isLearner":true,"peerURLs":["http://h:2","http://h:3"]}]"# + "\n")
            #expect(
                try JSONDecoder().decode([PeerMember].self, from: Data(answer.body)).map(\.id)
                    == [0xfedc_ba98_7654_3210, 0xfedc_ba98_7654_3211])
        }
    }

    @Test func `the version is told, and nothing else is there`() throws {
        try withPort { url in
            let version = try HTTPAsk.ask(url, .init(path: "/version"), timeout: .seconds(5))
            #expect(String(decoding: version.body, as: UTF8.self).hasPrefix(#"{"etcdserver":"3."#))
            #expect(version["x-etcd-cluster-id"] == "123456789abcdef0")
            #expect(try HTTPAsk.ask(url, .init(path: "/nothing"), timeout: .seconds(5)).status == 404)
            let long = "/" + String(repeating: "x", count: 10_000)
            #expect(try HTTPAsk.ask(url, .init(path: long), timeout: .seconds(5)).status == 404)
        }
    }

    @Test func `what is too long or no HTTP has no answer, and the next one has`() throws {
        try withPort { url in
            for path in ["/" + String(repeating: "x", count: 20_000), "/a b\u{1}c HTTP/9\r\n\r\nGET /"] {
                let result = Result { () throws(HTTPAsk.Failure) in
                    try HTTPAsk.ask(url, .init(path: path), timeout: .seconds(5))
                }
                switch result {
                case .success(let answer): #expect(answer.status >= 400)
                case .failure(let failure): #expect(!failure.description.isEmpty)
                }
            }
            let next = try HTTPAsk.ask(url, .init(path: "/members"), timeout: .seconds(5))
            #expect(next.status == 200)
        }
    }

    @Test func `who does not answer is not waited for`() throws {
        // It listens, and nobody accepts.
        let descriptor = try ListeningSocket(ServerURL(host: "127.0.0.1", port: 0), for: "x", flag: "--x").take()
        defer { close(descriptor) }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &length) }
        }
        let url = ServerURL(host: "127.0.0.1", port: Int(in_port_t(bigEndian: address.sin_port)))
        let start = ContinuousClock.now
        #expect(throws: HTTPAsk.Failure(description: "no answer within 200 ms")) {
            try HTTPAsk.ask(url, .init(path: "/members"), timeout: .milliseconds(200))
        }
        #expect(ContinuousClock.now - start < .seconds(4))
    }
}
