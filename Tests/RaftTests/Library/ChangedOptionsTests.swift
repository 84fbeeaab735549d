import Platform
import RaftCore
import Testing

@testable import Raft

extension LibraryTests {
    /// Options that change while members run.
    @Suite struct ChangedOptionsTests {
        typealias Member = RaftMember<KeyValues>

        @Test func `limits hold as soon as the change has returned`() async throws {
            let member = Member.alone(.memory())
            try await member.start()
            try await member.propose([UInt8](repeating: 65, count: 100))
            try await member.changeOptions { $0.maxCommandBytes = 10 }
            #expect(member.options.maxCommandBytes == 10)
            await #expect(throws: RaftError.tooLarge(bytes: 100, limit: 10)) {
                try await member.propose([UInt8](repeating: 65, count: 100))
            }
            try await member.changeOptions {
                $0.maxCommandBytes = 1_000
                $0.maxUncommittedBytes = 1_000
            }
            try await member.propose([UInt8](repeating: 65, count: 100))
            await member.stop()
        }

        @Test(arguments: FixedOption.all)
        func `what does not change while a member runs is refused by its name, and nothing changes`(
            _ fixed: FixedOption
        ) async throws {
            let member = Member.alone(.memory(), quickOptions { $0.readMode = .lease })
            try await member.start()
            let error = await #expect(throws: RaftError.optionIsFixed(fixed)) {
                try await member.changeOptions { options in
                    options.maxCommandBytes = 7
                    switch fixed {
                    case .clusterName: options.clusterName = "another"
                    case .readMode: options.readMode = .quorum
                    case .segmentBytes: options.segmentBytes = 1 << 20
                    case .heartbeatInterval: options.heartbeatInterval = .milliseconds(10)
                    case .electionTimeout: options.electionTimeout = .seconds(2)
                    }
                }
            }
            #expect(error?.description.contains(fixed.rawValue) == true)
            #expect(member.options.maxCommandBytes == 1 << 20)
            #expect(member.options.clusterName == "raft" && member.options.electionTimeout == .milliseconds(200))
            // The others change also where reads are by lease.
            try await member.changeOptions { $0.maxCommandBytes = 7 }
            #expect(member.options.maxCommandBytes == 7)
            await member.stop()
        }

        @Test func `what makes no sense is refused, and nothing changes`() async throws {
            let member = Member.alone(.memory())
            await #expect(throws: RaftError.notRunning) { try await member.changeOptions { $0.preVote = false } }
            try await member.start()
            let error = await #expect(throws: RaftError.self) {
                try await member.changeOptions {
                    $0.preVote = false
                    $0.electionTimeout = .milliseconds(30)
                }
            }
            #expect(error == .invalidOptions("electionTimeout is below two heartbeats"))
            #expect(member.options.preVote && member.options.electionTimeout == .milliseconds(200))
            try await member.put("a", "1")
            await member.stop()
            await #expect(throws: RaftError.notRunning) { try await member.changeOptions { $0.preVote = false } }
        }

        @Test func `changes that come at once are all made, in one order`() async throws {
            let member = Member.alone(.memory(), quickOptions { $0.snapshotEntries = 1_000 })
            try await member.start()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<200 {
                    group.addTask { try await member.changeOptions { $0.snapshotEntries += 1 } }
                }
                for number in 0..<50 { group.addTask { try await member.put("k\(number)", "v") } }
                try await group.waitForAll()
            }
            #expect(member.options.snapshotEntries == 1_200)
            await member.stop()
        }

        @Test func `a change that nobody waits for any more is in force all the same`() async throws {
            let member = Member.alone(.memory())
            try await member.start()
            let change = Task {
                while !Task.isCancelled { await Task.yield() }
                try await member.changeOptions { $0.maxPendingRequests = 1 }
            }
            change.cancel()
            try await change.value
            // Also on the stage that counts them.
            let requests = (0..<200).map { number in Task { try await member.put("k\(number)", "v") } }
            var refused = 0
            for request in requests { if case .failure(RaftError.overloaded) = await request.result { refused += 1 } }
            #expect(refused > 0)
            await member.stop()
        }

        @Test func `snapshots come by the new measure`() async throws {
            let log = RaftLog.memory()
            let member = Member.alone(log, quickOptions { $0.snapshotEntries = 1_000_000 })
            func snapshots() throws -> [String] { try log.storage.fileSystem.list("/raft/snapshots") }
            try await member.start()
            for number in 0..<100 { try await member.put("k\(number)", "v") }
            try await Task.sleep(for: .milliseconds(300))
            #expect(try snapshots() == ["origin-1-1"])
            try await member.changeOptions { $0.snapshotEntries = 50 }
            #expect(try await eventually { try snapshots() == ["snapshot-102-2"] })
            await member.stop()
        }

        @Test func `members that were slow to elect are quick after a change, and keep their leader after another`()
            async throws
        {
            let slow = quickOptions {
                $0.heartbeatInterval = .seconds(10)
                $0.electionTimeout = .seconds(100)
            }
            let cluster = Cluster(3, options: slow)
            try await cluster.start()
            let first = await cluster.member(1)
            try first.standForElection()
            #expect(try await eventually { try await cluster.leader().id == 1 })
            for member in await cluster.members {
                try await member.changeOptions {
                    $0.heartbeatInterval = .milliseconds(20)
                    $0.electionTimeout = .milliseconds(200)
                }
            }
            // A tick of ten seconds was under way.
            await cluster.stop(1)
            #expect(try await eventually(within: .seconds(5)) { try await cluster.leader().id != 1 })
            let leader = try await cluster.leader()
            try await leader.put("a", "1")

            // The election timeout first, so that nobody stands for election between.
            for member in await cluster.members { try await member.changeOptions { $0.electionTimeout = .seconds(2) } }
            for member in await cluster.members {
                try await member.changeOptions { $0.heartbeatInterval = .milliseconds(150) }
            }
            let term = leader.status?.term
            try await Task.sleep(for: .seconds(1))
            #expect(try await cluster.leader() === leader)
            #expect(leader.status?.term == term)
            await cluster.stop()
        }

        @Test func `leadership follows new priorities`() async throws {
            let cluster = Cluster(3, options: quickOptions { $0.priorities = [2: 5] })
            try await cluster.start()
            #expect(try await eventually { try await cluster.leader().id == 2 })
            for member in await cluster.members { try await member.changeOptions { $0.priorities = [3: 5] } }
            #expect(try await eventually { try await cluster.leader().id == 3 })
            await cluster.stop()
        }

        @Test func `a shorter time for requests holds for new ones, behind old ones that have more`() async throws {
            let cluster = Cluster(3, options: quickOptions { $0.requestTimeout = .seconds(60) })
            try await cluster.start()
            let leader = try await cluster.leader()
            // It leads on while nothing of what it is asked can be committed.
            for member in await cluster.members where member !== leader { await member.stop() }
            let patient = Task { try await leader.put("a", "1") }
            try await Task.sleep(for: .milliseconds(50))
            try await leader.changeOptions { $0.requestTimeout = .milliseconds(100) }
            let start = ContinuousClock.now
            await #expect(throws: RaftError.self) { try await leader.put("a", "2") }
            await #expect(throws: RaftError.self) { try await leader.get("a") }
            #expect(ContinuousClock.now - start < .seconds(5))
            patient.cancel()
            await #expect(throws: RaftError.cancelled) { try await patient.value }
            await cluster.stop()
        }

        @Test func `forwarding and the guard of the quorum can be switched`() async throws {
            let cluster = Cluster(3)
            try await cluster.start()
            let leader = try await cluster.leader()
            let followers = try await cluster.followers()
            try await followers[0].put("a", "1")
            try await followers[0].changeOptions { $0.forwardsProposals = false }
            await #expect(throws: RaftError.notLeader(leader: leader.id)) { try await followers[0].put("a", "2") }

            await cluster.stop(followers[1].id)
            await #expect(throws: RaftError.wouldLoseQuorum(unreachable: [followers[1].id])) {
                try await leader.remove(followers[0].id)
            }
            try await leader.changeOptions {
                $0.guardsQuorum = false
                $0.requestTimeout = .milliseconds(300)
            }
            // Nobody keeps it from harm now: of the two that are left, one is away.
            try await leader.remove(followers[0].id)
            await #expect(throws: RaftError.self) { try await leader.put("a", "3") }
            await cluster.stop()
        }

        @Test func `with a smaller cache older entries are read from the log`() async throws {
            let disk = FailingDisk()
            let network = InMemoryNetwork()
            let peers = [RaftPeer(id: 1), RaftPeer(id: 2), RaftPeer(id: 3)]
            let options = quickOptions {
                $0.maxCommandBytes = 4_096
                $0.priorities = [1: 5]
            }
            let logs = [RaftLog(place: .memory(disk)), .memory(), .memory()]
            func member(_ place: Int) -> Member {
                Member(
                    id: peers[place].id, cluster: .new(peers), log: logs[place], transport: .inMemory(network),
                    stateMachine: KeyValues(), options: options)
            }
            let (leader, second) = (member(0), member(1))
            for member in [leader, second] { try await member.start() }
            #expect(try await eventually { leader.status?.role == .leader })
            func catchUp(_ count: Int) async throws -> Int {
                let value = String(repeating: "x", count: 1_000)
                for number in 0..<200 { try await leader.put("\(count)-\(number)", value) }
                let reads = disk.reads
                let third = member(2)
                try await third.start()
                #expect(try await eventually { try await third.read(.local) { $0.values.count } == count })
                await third.stop()
                return disk.reads - reads
            }
            #expect(try await catchUp(200) == 0)
            try await leader.changeOptions { $0.logCacheBytes = 10_000 }
            #expect(try await catchUp(400) > 0)
            await leader.stop()
            await second.stop()
        }
    }

    @Test func `a cache that is made smaller lets go of the oldest`() {
        var cache = EntryCache(limitBytes: 1 << 20)
        cache.append(
            (1...100).map { Entry(index: LogIndex($0), term: Term(1), payload: [UInt8](repeating: 0, count: 100)) })
        cache.evict(applied: LogIndex(100))
        #expect(cache.firstIndex == LogIndex(1))
        cache.limitBytes = 1_640
        cache.evict(applied: LogIndex(100))
        #expect(cache.firstIndex == LogIndex(91))
    }
}

extension FixedOption {
    static var all: [FixedOption] { [.clusterName, .readMode, .segmentBytes, .heartbeatInterval, .electionTimeout] }
}
