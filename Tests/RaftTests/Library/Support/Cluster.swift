import Raft
import TestSupport

/// Members in this process, and their logs, which outlive them.
actor Cluster {
    enum Way {
        case inMemory, tcp
    }

    nonisolated let network = InMemoryNetwork()
    private let way: Way
    private let options: RaftOptions
    private(set) var members: [RaftMember<KeyValues>] = []
    private var logs: [NodeID: RaftLog] = [:]
    private var addresses: [NodeID: String] = [:]
    private let first: [RaftPeer]

    init(_ count: Int, _ way: Way = .inMemory, options: RaftOptions = quickOptions()) {
        self.way = way
        self.options = options
        first = (1...count).map { RaftPeer(id: NodeID(UInt64($0)), address: FreePorts.address()) }
    }

    func start() async throws {
        for peer in first { try await start(peer.id) }
    }

    /// A member of the first ones, or one that joins where `through` says who is there.
    @discardableResult
    func start(_ id: NodeID, joining through: [RaftPeer]? = nil) async throws -> RaftMember<KeyValues> {
        let log = logs[id] ?? .memory()
        logs[id] = log
        let member = RaftMember(
            id: id, cluster: through.map { .join($0) } ?? .new(first), log: log,
            transport: way == .tcp ? .tcp() : .inMemory(network), stateMachine: KeyValues(), options: options)
        members.append(member)
        try await member.start()
        return member
    }

    func member(_ id: NodeID) -> RaftMember<KeyValues> { members.last { $0.id == id }! }

    func stop(_ id: NodeID) async {
        let member = member(id)
        await member.stop()
        members.removeAll { $0 === member }
    }

    func stop() async {
        for member in members { await member.stop() }
        members = []
    }

    /// A member that leads, and whom all that run take for the leader.
    func leader() async throws -> RaftMember<KeyValues> {
        var found: RaftMember<KeyValues>?
        let isFound = try await eventually {
            let leaders = members.map { $0.status?.leader }
            guard let leader = leaders.first, let leader, leaders.allSatisfy({ $0 == leader }) else { return false }
            found = members.first { $0.id == leader && $0.status?.role == .leader }
            return found != nil
        }
        guard isFound, let found else { throw RaftError.noLeader }
        return found
    }

    func followers() async throws -> [RaftMember<KeyValues>] {
        let leader = try await leader()
        return members.filter { $0 !== leader }
    }
}
