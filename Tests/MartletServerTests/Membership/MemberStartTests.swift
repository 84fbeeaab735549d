import Foundation
import PeerTransport
import RaftCore
import Replica
import Testing

@testable import MartletServer

@Suite struct MemberStartTests {
    /// Who starts; nobody is to be asked.
    private func start(_ fixture: MachineFixture, _ configuration: ServerConfiguration) throws -> NodeID {
        var join = ClusterJoin(configuration: configuration, logger: quietLogger)
        join.pause = {}
        join.get = { _ in .failure(.init(description: "nobody")) }
        fixture.release()
        let start = try MemberStart(fixture.directory, configuration, join)
        start.machine.close()
        return start.memberID
    }

    private func sentence(_ fixture: MachineFixture, _ configuration: ServerConfiguration) -> String {
        do {
            return "started as \(try start(fixture, configuration))"
        } catch {
            return "\(error)"
        }
    }

    private func made() throws -> MachineFixture {
        let fixture = try MachineFixture(members: 3)
        for member in fixture.first.initialCluster.members { try fixture.publish(member.id, member.name) }
        try fixture.reopen()
        return fixture
    }

    @Test func `a member is who its directory says, whatever has become of its addresses`() throws {
        let fixture = try made()
        let id = fixture.first.ownMember.id
        #expect(try start(fixture, fixture.first) == id)
        // Moved, or renamed.
        let moved = try configuration(1, of: 3, in: fixture.root, state: .existing, port: 7)
        #expect(try start(fixture, moved) == id)
        let renamed = try configuration(1, of: 3, in: fixture.root, state: .existing, name: "other")
        #expect(try start(fixture, renamed) == id)
        let grown = try configuration(1, of: 5, in: fixture.root, state: .existing)
        #expect(try start(fixture, grown) == id)
    }

    @Test func `one that was killed before it told its name is known by it when it moves`() throws {
        let fixture = try MachineFixture(members: 3)
        try fixture.reopen()
        let moved = try configuration(1, of: 3, in: fixture.root, state: .existing, port: 7)
        #expect(try start(fixture, moved) == fixture.first.ownMember.id)
        var other = try configuration(2, of: 3, in: fixture.root, state: .existing, port: 7)
        other.dataDirectory = fixture.first.dataDirectory
        #expect(sentence(fixture, other).contains("belongs to another member or cluster"))
    }

    @Test func `a directory of another member or cluster is refused`() throws {
        let fixture = try made()
        func other(_ number: Int, _ state: ServerConfiguration.ClusterState, token: String = "t") throws -> String {
            var other = try configuration(number, of: 3, in: fixture.root, state: state, token: token)
            other.dataDirectory = fixture.first.dataDirectory
            return sentence(fixture, other)
        }
        #expect(try other(2, .new).contains("belongs to another member or cluster"))
        #expect(try other(2, .existing).contains("belongs to another member or cluster"))
        #expect(try other(1, .new, token: "u").contains("belongs to another member or cluster"))
        // A bootstrap with the directory's members, but other ones besides.
        let grown = try configuration(1, of: 4, in: fixture.root, state: .new)
        #expect(sentence(fixture, grown).contains("--initial-cluster-state existing"))
    }

    @Test func `a member that was removed says what to do`() throws {
        let fixture = try made()
        try fixture.apply(ConfigurationChange(changes: [MemberChange(.remove, fixture.first.ownMember.id)]))
        try fixture.reopen()
        let text = sentence(fixture, fixture.first)
        #expect(text.contains("was removed from the cluster"))
        #expect(text.contains("martlet member add m1 --peer-urls http://10.0.0.1:10001"))
        #expect(text.contains(fixture.first.dataDirectory))
    }

    @Test func `a member that joins asks, and asks again while it has not got the state`() throws {
        let root = NSTemporaryDirectory() + "martlet-join-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: root) }
        let configuration = try configuration(3, of: 3, in: root, state: .existing)
        let members = (1...3).map { number in
            PeerMember(
                id: UInt64(number), peerURLs: ["http://10.0.0.1:\(10_000 + number)"],
                name: number < 3 ? "m\(number)" : nil)
        }
        func join(_ id: UInt64, cluster: String = "ab") -> ClusterJoin {
            var join = ClusterJoin(configuration: configuration, logger: quietLogger)
            join.pause = {}
            join.get = { _ in
                var members = members
                members[2].id = id
                return .success(
                    .init(
                        status: 200, fields: ["x-etcd-cluster-id": cluster],
                        body: encoded(members)))
            }
            return join
        }
        let directory = try DataDirectory(configuration: configuration)
        func start(_ join: ClusterJoin) throws -> (memberID: NodeID, clusterID: UInt64, hints: [PeerAddress]) {
            let start = try MemberStart(directory, configuration, join)
            #expect(try start.machine.view.members.isEmpty)
            start.machine.close()
            return (start.memberID, start.clusterID, start.hints)
        }
        let first = try start(join(3))
        #expect(first.memberID == NodeID(3) && first.clusterID == 0xab)
        #expect(first.hints.map(\.node.rawValue) == [1, 2])
        // Again before there was a log, and again with one: then it is who it was.
        #expect(try start(join(3)).memberID == NodeID(3))
        try makeLog(directory, DataDirectory.identity(clusterID: 0xab, memberID: NodeID(3)))
        #expect(try start(join(3)).hints.count == 2)
        #expect(throws: ConfigurationError.self) { try start(join(4)) }
        #expect(throws: ConfigurationError.self) { try start(join(3, cluster: "cd")) }
        #expect(try start(join(3)).memberID == NodeID(3))
    }
}
