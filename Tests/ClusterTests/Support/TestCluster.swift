import EtcdAPI
import Foundation
import MartletClient
import Synchronization
import TestSupport

/// Members on this machine, in processes of their own, with their data on disk inside of the repository's `.build`.
final class TestCluster: Sendable {
    /// etcd's default, and the members'.
    static let electionTimeoutNanoseconds: UInt64 = 1_000_000_000
    /// How long members that run may take until they answer.
    static let readyTimeout = Duration.seconds(20)

    let directory: String
    let token: String
    let flags: [String]
    private let list: Mutex<[TestMember]>
    /// Those that are in the cluster, or should be.
    var members: [TestMember] { list.withLock { $0 } }

    private static let count = Mutex(0)

    /// The program under test; nil if none is named.
    static var executable: String? { ProcessInfo.processInfo.environment["MARTLET"] }

    static var root: String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().path
    }

    /// - Parameter flags: beside those that say who and where the members are.
    init(members memberCount: Int = 3, token: String = "cluster-tests", flags: [String] = []) throws {
        guard let executable = Self.executable, access(executable, X_OK) == 0 else {
            throw ClusterFailure("MARTLET must name the program to test: MARTLET=.build/release/martlet")
        }
        let number = Self.count.withLock { count in
            count += 1
            return count
        }
        let directory = "\(Self.root)/.build/cluster-tests/\(getpid())-\(number)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        self.directory = directory
        self.token = token
        self.flags = flags
        let members = (1...memberCount).map { number in
            TestMember(
                name: "m\(number)", clientPort: FreePorts.port(), peerPort: FreePorts.port(),
                directory: directory, executable: executable)
        }
        let all = members.map { "\($0.name)=\($0.peerURL)" }.joined(separator: ",")
        for member in members {
            let clientURL = "http://127.0.0.1:\(member.clientPort)"
            member.setFlags(
                [
                    "--name=\(member.name)", "--data-dir=\(member.dataDirectory)",
                    "--listen-client-urls=\(clientURL)", "--advertise-client-urls=\(clientURL)",
                    "--listen-peer-urls=\(member.peerURL)", "--initial-advertise-peer-urls=\(member.peerURL)",
                    "--initial-cluster=\(all)", "--initial-cluster-token=\(token)",
                ] + flags)
        }
        list = Mutex(members)
    }

    // MARK: Membership

    /// Adds a member by an API call, and leaves it to be started. What only comes with time (that the others have been
    /// connected for five seconds, that the one before has caught up) is waited for.
    func add(
        _ name: String, through client: EtcdClient, asLearner: Bool = false, within time: Duration = .seconds(30)
    ) async throws -> TestMember {
        let member = TestMember(
            name: name, clientPort: FreePorts.port(), peerPort: FreePorts.port(), directory: directory,
            executable: Self.executable ?? "")
        let answer = try await eventually(within: time, passing: [.unhealthy, .memberNotEnoughStarted]) {
            () throws(ClientError) in try await client.memberAdd(peerURLs: [member.peerURL], asLearner: asLearner)
        }
        let all = answer.members.map { each in
            "\(each.id == answer.member.id ? name : each.name)=\(each.peerUrls.joined())"
        }
        setJoinFlags(of: member, initialCluster: all.joined(separator: ","))
        return member
    }

    func setJoinFlags(of member: TestMember, initialCluster: String) {
        let clientURL = "http://127.0.0.1:\(member.clientPort)"
        member.setFlags(
            [
                "--name=\(member.name)", "--data-dir=\(member.dataDirectory)", "--listen-client-urls=\(clientURL)",
                "--advertise-client-urls=\(clientURL)", "--listen-peer-urls=\(member.peerURL)",
                "--initial-advertise-peer-urls=\(member.peerURL)", "--initial-cluster=\(initialCluster)",
                "--initial-cluster-state=existing",
            ] + flags)
    }

    func include(_ member: TestMember) { list.withLock { $0.append(member) } }
    func exclude(_ member: TestMember) { list.withLock { $0.removeAll { $0 === member } } }

    /// Adds a member that votes, starts it and waits until it answers.
    @discardableResult
    func join(_ name: String, through client: EtcdClient) async throws -> TestMember {
        let member = try await add(name, through: client)
        try start(member)
        include(member)
        try await waitUntilReady()
        return member
    }

    /// Its id, by its name.
    func id(of member: TestMember, by client: EtcdClient) async throws -> UInt64 {
        guard let found = try await client.memberList().members.first(where: { $0.name == member.name }) else {
            throw ClusterFailure("\(member.name) is no member")
        }
        return found.id
    }

    /// Asks again while the answer is one of these errors, or that there is no leader just now.
    func eventually<Answer: Sendable>(
        within time: Duration = .seconds(20), passing errors: [EtcdError],
        _ ask: () async throws(ClientError) -> Answer
    ) async throws -> Answer {
        let deadline = ContinuousClock.now + time
        while true {
            do throws(ClientError) {
                return try await ask()
            } catch {
                guard case .etcd(let reason) = error, errors.contains(reason) || reason == .noLeader,
                    ContinuousClock.now < deadline
                else { throw ClusterFailure("\(error)") }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    // MARK: Processes

    /// Starts a member, and leaves its process's id where `scripts/test-cluster` finds it if this process is killed.
    @discardableResult
    func start(_ member: TestMember, replacing replacements: [String: String] = [:]) throws -> MemberProcess {
        let process = try member.start(replacing: replacements)
        let line = Data("\(process.id)\n".utf8)
        let path = "\(directory)/processes"
        if let file = FileHandle(forWritingAtPath: path) {
            try file.seekToEnd()
            try file.write(contentsOf: line)
            try file.close()
        } else {
            try line.write(to: URL(fileURLWithPath: path))
        }
        return process
    }

    func startAll() async throws {
        for member in members { try start(member) }
        try await waitUntilReady()
    }

    func killAll() { for member in members { member.kill() } }

    /// Waits until each member that has a process answers a read that a majority agrees on.
    func waitUntilReady(within time: Duration = TestCluster.readyTimeout) async throws {
        let deadline = ContinuousClock.now + time
        for member in members where member.process != nil {
            while await member.ask(
                timeout: .seconds(1),
                { (client) throws(ClientError) in
                    _ = try await client.get("ready")
                    return true
                }) == nil
            {
                try member.checkRunning()
                guard ContinuousClock.now < deadline else {
                    throw ClusterFailure("\(member.name) does not answer after \(time); it said:\n\(member.tail)")
                }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    /// The member that a majority of those that answer takes for the leader.
    func leader(within time: Duration = TestCluster.readyTimeout) async throws -> TestMember {
        let deadline = ContinuousClock.now + time
        while ContinuousClock.now < deadline {
            var owners: [UInt64: TestMember] = [:]
            var votes: [UInt64: Int] = [:]
            for member in members where member.process != nil {
                guard let status = await member.status() else { continue }
                owners[status.header.memberID] = member
                if status.leader != 0 { votes[status.leader, default: 0] += 1 }
            }
            if let (leader, _) = votes.first(where: { $0.value > members.count / 2 }), let owner = owners[leader] {
                return owner
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw ClusterFailure("the members have not agreed on a leader within \(time)")
    }

    // MARK: Agreement

    struct Agreement: Sendable {
        var revision: Int64
        var hash: UInt32
        var appliedIndex: UInt64
    }

    /// Waits until all members have applied the same, and compares their states by hash.
    func waitUntilAgreed(within time: Duration = .seconds(20)) async throws -> Agreement {
        let deadline = ContinuousClock.now + time
        var seen = ""
        while ContinuousClock.now < deadline {
            var places: [(applied: UInt64, revision: Int64)] = []
            for member in members {
                try member.checkRunning()
                guard let status = await member.status(timeout: .seconds(2)) else { continue }
                places.append((status.raftAppliedIndex, status.header.revision))
            }
            seen = "\(places)"
            if places.count == members.count, let first = places.first,
                places.allSatisfy({ $0.applied == first.applied })
            {
                let revision = first.revision
                guard places.allSatisfy({ $0.revision == revision }) else {
                    throw ClusterFailure("members are at different revisions after the same entry: \(seen)")
                }
                return Agreement(
                    revision: revision, hash: try await compareHashes(at: revision), appliedIndex: first.applied)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw ClusterFailure("the members' applied entries do not converge: \(seen)")
    }

    private func compareHashes(at revision: Int64) async throws -> UInt32 {
        var hashes: [UInt32] = []
        for member in members {
            let client = member.client(timeout: .seconds(10))
            let answer: Etcdserverpb_HashKVResponse
            do throws(ClientError) {
                answer = try await client.hashKV(revision: revision)
            } catch {
                throw ClusterFailure("\(member.name) does not tell its hash at revision \(revision): \(error)")
            }
            await client.shutdown()
            guard answer.hashRevision == revision else {
                throw ClusterFailure("\(member.name) tells the hash of \(answer.hashRevision), not of \(revision)")
            }
            hashes.append(answer.hash)
        }
        guard Set(hashes).count == 1 else {
            throw ClusterFailure("the members' states differ at revision \(revision): hashes \(hashes)")
        }
        return hashes[0]
    }
}

/// Runs a test with a cluster, and leaves no process behind, however it ends. Data and logs stay if it failed.
func withCluster(
    members: Int = 3, flags: [String] = [], _ body: (TestCluster) async throws -> Void
) async throws {
    let cluster = try TestCluster(members: members, flags: flags)
    defer { cluster.killAll() }
    do {
        try await cluster.startAll()
        try await body(cluster)
        for member in cluster.members { try member.checkRunning() }
    } catch {
        for member in cluster.members { print("\(member.name) said last:\n\(member.tail)") }
        print("The members' data and logs are in \(cluster.directory).")
        throw error
    }
    cluster.killAll()
    try FileManager.default.removeItem(atPath: cluster.directory)
}
