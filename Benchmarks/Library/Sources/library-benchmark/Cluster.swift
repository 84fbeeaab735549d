import Glibc
import Raft

/// What went wrong while measuring.
struct Problem: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// The members of one row, in this process.
struct Cluster: Sendable {
    let members: [RaftMember<Tally>]
    let leader: RaftMember<Tally>
    private let directory: String?

    /// - Parameter directory: where logs on disk go, each run of each row in a new folder of it.
    init(_ shape: Shape, directory: String, options: RaftOptions = RaftOptions()) async throws {
        let place = "\(directory)/\(shape.name)"
        self.directory = shape.log == .disk ? place : nil
        if shape.log == .disk { try Files.makeEmpty(place) }
        let network = InMemoryNetwork()
        let peers = try (1...shape.members).map { number in
            RaftPeer(
                id: NodeID(UInt64(number)),
                address: shape.wire == .tcp ? "127.0.0.1:\(try Files.freePort())" : "")
        }
        members = peers.map { peer in
            RaftMember(
                id: peer.id, cluster: .new(peers),
                log: shape.log == .disk ? .directory("\(place)/\(peer.id.rawValue)") : .memory(),
                transport: shape.wire == .tcp ? .tcp() : .inMemory(network), stateMachine: Tally(),
                options: options)
        }
        for member in members { try await member.start() }
        leader = try await Self.settledLeader(of: members)
    }

    /// The member that leads and can say so to a quorum.
    private static func settledLeader(of members: [RaftMember<Tally>]) async throws -> RaftMember<Tally> {
        for _ in 0..<10 {
            let id = try await members[0].waitForLeader(timeout: .seconds(30))
            guard let leader = members.first(where: { $0.id == id }) else { continue }
            do {
                _ = try await leader.read { $0.commands }
                if leader.status?.role == .leader { return leader }
            } catch RaftError.noLeader {
            } catch RaftError.timedOut {}
        }
        throw Problem("no member keeps the lead")
    }

    /// Waits until every member has applied `commands`, and says so if one has applied others.
    func check(commands: Int) async throws {
        for member in members {
            var seen = -1
            for _ in 0..<500 {
                seen = try await member.read(.local) { $0.commands }
                if seen >= commands { break }
                try await Task.sleep(for: .milliseconds(10))
            }
            if seen != commands { throw Problem("member \(member.id) applied \(seen) of \(commands) commands") }
        }
    }

    func stop() async throws {
        for member in members { await member.stop() }
        if let directory { try Files.remove(directory) }
    }
}
