import Foundation
import Raft
import RaftTLS
import Testing

/// Adds up the bytes that it is given.
struct Counter: StateMachine {
    var total = 0

    mutating func apply(_ command: [UInt8], at index: LogIndex) -> Int {
        total += command.reduce(0) { $0 + Int($1) }
        return total
    }

    func snapshot() -> StateSnapshot { StateSnapshot([UInt8]("\(total)".utf8)) }

    mutating func restore(from snapshot: SnapshotReader) throws {
        total = Int(String(decoding: try snapshot.readAll(), as: UTF8.self)) ?? 0
    }
}

@Suite(.serialized) struct MutualTLSTests {
    private func tls(
        _ certificates: Certificates, _ name: String = "member", roots: Certificates? = nil
    ) throws -> MutualTLS {
        try MutualTLS(
            certificateFile: certificates.path("\(name).pem"), keyFile: certificates.path("\(name).key"),
            trustRootsFile: (roots ?? certificates).path("ca.pem"))
    }

    private func list() -> [RaftPeer] {
        (1...3).map { RaftPeer(id: NodeID(UInt64($0)), address: FreePorts.address()) }
    }

    private func member(_ id: NodeID, _ list: [RaftPeer], _ transport: RaftTransport) -> RaftMember<Counter> {
        var options = RaftOptions()
        options.heartbeatInterval = .milliseconds(20)
        options.electionTimeout = .milliseconds(300)
        return RaftMember(
            id: id, cluster: .new(list), log: .memory(), transport: transport, stateMachine: Counter(),
            options: options)
    }

    @Test func `three members work over TLS, snapshots included`() async throws {
        let certificates = try Certificates()
        let list = list()
        let members = try list.map { member($0.id, list, .tls(try tls(certificates))) }
        for member in members { try await member.start() }
        for number in 1...50 as ClosedRange<UInt8> { try await members[Int(number) % 3].propose([number]) }
        for member in members { #expect(try await member.read { $0.total } == 1_275) }
        let joining = RaftPeer(id: 4, address: FreePorts.address())
        var options = RaftOptions()
        options.heartbeatInterval = .milliseconds(20)
        let fourth = RaftMember(
            id: 4, cluster: .join(list + [joining]), log: .memory(), transport: .tls(try tls(certificates)),
            stateMachine: Counter(), options: options)
        try await fourth.start()
        try await members[0].addLearner(joining)
        // Who joins gets its first state as a snapshot.
        _ = try await fourth.waitForLeader()
        #expect(try await fourth.read { $0.total } == 1_275)
        for member in members + [fourth] { await member.stop() }
    }

    enum Intruder: CaseIterable, Sendable {
        /// Speaks the protocol, without TLS.
        case withoutCertificate
        /// Has one that another authority vouches for, and trusts the right one.
        case foreign
        /// Has the right one, and trusts another authority.
        case distrustful
        /// Is vouched for, for another host.
        case elsewhere
    }

    @Test(arguments: Intruder.allCases)
    func `a member without the right certificate gets neither in nor heard`(_ intruder: Intruder) async throws {
        let certificates = try Certificates()
        let foreign = try Certificates(authority: "another")
        try certificates.make("elsewhere", "DNS:elsewhere.example")
        let transport: RaftTransport =
            switch intruder {
            case .withoutCertificate: .tcp()
            case .foreign: .tls(try tls(foreign, roots: certificates))
            case .distrustful: .tls(try tls(certificates, roots: foreign))
            case .elsewhere: .tls(try tls(certificates, "elsewhere"))
            }
        let list = list()
        let members = [
            member(1, list, .tls(try tls(certificates))), member(2, list, .tls(try tls(certificates))),
            member(3, list, transport),
        ]
        for member in members { try await member.start() }
        try await members[0].propose([1])
        try await members[1].propose([2])
        try await Task.sleep(for: .milliseconds(700))
        // Nothing of it has come: not even a message of the leader's. (One that is only vouched for elsewhere may say
        // something, as it is a member; but nobody dials it.)
        #expect(members[2].status?.leader == nil)
        #expect(try await members[2].read(.local) { $0.total } == 0)
        try await members[0].propose([3])
        #expect(try await members[1].read { $0.total } == 6)
        for member in members { await member.stop() }
    }

    @Test func `files that are missing, empty or do not fit are refused`() throws {
        let certificates = try Certificates()
        let other = try Certificates()
        try Data().write(to: certificates.directory.appendingPathComponent("empty"))
        func refusal(_ certificate: String, _ key: String, _ roots: String) -> MutualTLSError? {
            do throws(MutualTLSError) {
                _ = try MutualTLS(certificateFile: certificate, keyFile: key, trustRootsFile: roots)
                return nil
            } catch {
                return error
            }
        }
        let (certificate, key, roots) = (
            certificates.path("member.pem"), certificates.path("member.key"), certificates.path("ca.pem")
        )
        #expect(refusal(certificate, key, roots) == nil)
        for wrong in [certificates.path("nowhere"), certificates.path("empty"), key] {
            guard case .unreadable(wrong, _)? = refusal(wrong, key, roots) else {
                Issue.record("certificate \(wrong)")
                continue
            }
            guard case .unreadable(wrong, _)? = refusal(certificate, key, wrong) else {
                Issue.record("roots \(wrong)")
                continue
            }
        }
        guard case .unreadable? = refusal(certificate, certificates.path("empty"), roots) else {
            Issue.record("an empty key")
            return
        }
        guard case .unusable? = refusal(certificate, other.path("member.key"), roots) else {
            Issue.record("another's key")
            return
        }
    }
}
