import Foundation
import NIOCore
import RaftCore
import Replica
import Testing

@testable import MartletServer

@Suite struct ClusterEntryTests {
    private static func json(_ value: some Encodable, status: Int, retryAfter: String? = nil) throws
        -> Result<HTTPAsk.Answer, HTTPAsk.Failure>
    {
        .success(
            HTTPAsk.Answer(
                status: status, fields: retryAfter.map { ["retry-after": $0] } ?? [:],
                body: Array(try JSONEncoder().encode(value))))
    }

    private static func refusal(_ code: JoinRefusal.Code, _ sentence: String) throws
        -> Result<HTTPAsk.Answer, HTTPAsk.Failure>
    {
        let refusal = JoinRefusal(code, sentence)
        return try json(refusal.body, status: refusal.status)
    }

    private static func place() throws -> Result<HTTPAsk.Answer, HTTPAsk.Failure> {
        let fixture = try MachineFixture(members: 2)
        let own = fixture.first.ownMember.id
        return try json(JoinAnswer(try fixture.view, member: own, name: "m4"), status: 200)
    }

    private static let silence: Result<HTTPAsk.Answer, HTTPAsk.Failure> = .failure(.init(description: "refused"))

    /// Asks a and b, which answer as they are made to; waiting takes no time.
    private func find(
        timeout: Duration = .seconds(30), stopsAfter stop: Duration? = nil,
        _ answer: @escaping (_ host: String, _ call: Int) throws -> Result<HTTPAsk.Answer, HTTPAsk.Failure>
    ) throws -> (outcome: Result<ClusterJoin.Found, ConfigurationError>, asked: [String], time: Duration, body: [UInt8])
    {
        var configuration = try configuration(1, of: 1, in: "/nowhere", state: .existing)
        configuration.join = [ServerURL(host: "a", port: 1), ServerURL(host: "b", port: 1)]
        configuration.joinTimeout = timeout
        configuration.givenClusterToken = "t"
        var asked: [String] = []
        var time = Duration.zero
        var body: [UInt8] = []
        var entry = ClusterEntry(configuration: configuration, logger: quietLogger, nonce: "n")
        entry.ask = { url, request in
            asked.append(url.host)
            body = request.body
            do { return try answer(url.host, asked.count) } catch { return .failure(.init(description: "\(error)")) }
        }
        entry.pause = { time += $0 }
        entry.now = { time }
        entry.isStopping = { stop.map { time >= $0 } ?? false }
        let outcome = Result { () throws(ConfigurationError) in try entry.find(isPrepared: false) }
        return (outcome, asked, time, body)
    }

    @Test func `one that answers is enough`() throws {
        let (outcome, asked, _, body) = try find { host, _ in host == "a" ? Self.silence : try Self.place() }
        #expect(try outcome.get().others.count == 1)
        #expect(asked == ["a", "b"])
        let question = try JSONDecoder().decode(JoinQuestion.self, from: Data(body))
        #expect(
            question
                == JoinQuestion(name: "m1", peerURLs: ["http://10.0.0.1:10001"], token: "t", nonce: "n"))
    }

    @Test func `what passes is waited for, and what does not is said at once`() throws {
        let waited = try find { _, call in
            call < 7 ? try Self.refusal(.tooManyLearners, "another one is joining") : try Self.place()
        }
        #expect(throws: Never.self) { try waited.outcome.get() }
        #expect(waited.asked.count == 7 && waited.time == .seconds(3))

        let refused = try find { _, _ in try Self.refusal(.nameInUse, "the name m1 is taken") }
        #expect(refused.asked == ["a"])
        #expect(refused.outcome == .failure(ConfigurationError("--join: a:1 refuses: the name m1 is taken")))
    }

    @Test func `waiting ends, and says what for`() throws {
        let late = try find(timeout: .seconds(5)) { _, _ in try Self.refusal(.noLeader, "no leader") }
        guard case .failure(let error) = late.outcome else { return #expect(Bool(false), "no error") }
        #expect(error.message.contains("within 5s (--join-timeout): a:1: no leader; b:1: no leader"))
        #expect(late.time <= .seconds(5))
        // A signal is not to wait for it.
        let stopped = try find(stopsAfter: .milliseconds(300)) { _, _ in Self.silence }
        #expect(stopped.time < .seconds(1))
        guard case .failure(let reason) = stopped.outcome else { return #expect(Bool(false), "no error") }
        #expect(reason.message.contains("stopped while it was asking to join"))
    }

    @Test func `who is no member of Martlet is told from one`() throws {
        let strange = try find { _, _ in .success(.init(status: 404, fields: [:], body: Array("Not Found".utf8))) }
        guard case .failure(let error) = strange.outcome else { return #expect(Bool(false), "no error") }
        #expect(error.message.contains("not as a member of Martlet (HTTP status 404)"))
        let empty = try find { _, _ in .success(.init(status: 200, fields: [:], body: Array("{}".utf8))) }
        guard case .failure(let reason) = empty.outcome else { return #expect(Bool(false), "no error") }
        #expect(reason.message.contains("cannot be read"))
    }

    @Test func `addresses that were not told are this machine's towards the cluster`() throws {
        var configuration = try configuration(1, of: 1, in: "/nowhere", state: .existing)
        configuration.join = [ServerURL(host: "a", port: 1), ServerURL(host: "b", port: 1)]
        configuration.missingURLs = [.listenPeer, .advertisePeer, .advertiseClient]
        configuration.listenPeerURLs = [ServerURL(host: "localhost", port: 2380)]
        configuration.listenClientURLs = [ServerURL(host: "0.0.0.0", port: 7)]
        var filled = configuration
        try JoinAddresses { $0.host == "b" ? "10.0.0.8" : nil }.fill(&filled)
        #expect(filled.listenPeerURLs == [ServerURL(host: "10.0.0.8", port: 2380)])
        #expect(filled.initialAdvertisePeerURLs == filled.listenPeerURLs)
        #expect(filled.ownMember.peerURLs == filled.listenPeerURLs)
        #expect(filled.listenClientURLs == configuration.listenClientURLs)
        #expect(filled.advertiseClientURLs == [ServerURL(host: "10.0.0.8", port: 7)])
        #expect(throws: ConfigurationError.self) { try JoinAddresses { _ in nil }.fill(&configuration) }
        // Who was told everything is asked nothing.
        configuration.missingURLs = []
        #expect(throws: Never.self) { try JoinAddresses { _ in nil }.fill(&configuration) }
        #expect(JoinAddresses.local(towards: ServerURL(host: "127.0.0.1", port: 1)) == "127.0.0.1")
    }
}
