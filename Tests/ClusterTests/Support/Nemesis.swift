import Foundation
import TestSupport

/// Kills and stops members, one misfortune after the other, and heals each before the next.
struct Nemesis {
    enum Misfortune: String, CaseIterable, Sendable {
        case killMember = "kill a member"
        case killLeader = "kill the leader"
        case killMajority = "kill two members"
        case killAll = "kill all members at once"
        case stopMember = "stop a member"
        case stopLeader = "stop the leader"
        case stopMajority = "stop two members"
    }

    private let cluster: TestCluster
    private var random: SeededRandom
    private let start = monotonicNanoseconds()
    private(set) var done: [Misfortune] = []

    init(cluster: TestCluster, seed: UInt64) {
        self.cluster = cluster
        random = SeededRandom(seed: seed)
    }

    /// Goes on for so long, and until each misfortune has happened.
    mutating func run(for time: Duration) async throws {
        let deadline = ContinuousClock.now + time
        var bag: [Misfortune] = []
        while ContinuousClock.now < deadline || done.count < Misfortune.allCases.count {
            try await pause(milliseconds: 500...2000)
            for member in cluster.members { try member.checkRunning() }
            if bag.isEmpty { bag = Misfortune.allCases.shuffled(using: &random) }
            let misfortune = bag.removeLast()
            try await bring(misfortune)
            done.append(misfortune)
        }
    }

    private mutating func bring(_ misfortune: Misfortune) async throws {
        switch misfortune {
        case .killMember: try await kill([anyMember()], misfortune)
        // Without a leader that could be found in time, it is whoever comes first.
        case .killLeader: try await kill([leaderOrAny()], misfortune)
        case .killMajority: try await kill(anyTwo(), misfortune)
        case .killAll: try await kill(cluster.members.shuffled(using: &random), misfortune)
        case .stopMember: try await stop([anyMember()], misfortune)
        case .stopLeader: try await stop([leaderOrAny()], misfortune)
        case .stopMajority: try await stop(anyTwo(), misfortune)
        }
    }

    private mutating func kill(_ members: [TestMember], _ misfortune: Misfortune) async throws {
        say(misfortune, members)
        for member in members { member.process?.send(SIGKILL) }
        for member in members { member.kill() }
        for member in members.shuffled(using: &random) {
            try await pause(milliseconds: 0...1500)
            try cluster.start(member)
        }
    }

    private mutating func stop(_ members: [TestMember], _ misfortune: Misfortune) async throws {
        say(misfortune, members)
        for member in members { member.pause() }
        do {
            try await pause(milliseconds: 500...4000)
        } catch {
            for member in members { member.resume() }
            throw error
        }
        for member in members { member.resume() }
    }

    private mutating func anyMember() -> TestMember {
        cluster.members[Int.random(in: 0..<cluster.members.count, using: &random)]
    }

    private mutating func anyTwo() -> [TestMember] { Array(cluster.members.shuffled(using: &random).prefix(2)) }

    private mutating func leaderOrAny() async throws -> TestMember {
        do {
            return try await cluster.leader(within: .seconds(5))
        } catch is ClusterFailure {
            return anyMember()
        }
    }

    private mutating func pause(milliseconds: ClosedRange<Int>) async throws {
        try await Task.sleep(for: .milliseconds(Int.random(in: milliseconds, using: &random)))
    }

    private func say(_ misfortune: Misfortune, _ members: [TestMember]) {
        let names = members.map(\.name).joined(separator: ", ")
        print("  \(secondsText(monotonicNanoseconds() - start)): \(misfortune.rawValue): \(names)")
    }
}
