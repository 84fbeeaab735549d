import Raft
import RaftCore
import RaftSimulation
import Testing

/// A user's state machine in the simulated world: a right one survives, wrong ones are found.
@Suite struct LibrarySimulationTests {
    /// Adds up numbers, of which each is meant to count once: the number's name comes with it.
    private struct Counter: StateMachine, Equatable {
        enum Mistake { case none, forgetsNames, drawsLots, throwsAt30, refusesAlone, goesByHashOrder }
        var mistake = Mistake.none
        var sum = 0
        var names: [UInt8] = []

        mutating func apply(_ command: [UInt8], at index: LogIndex) throws -> Int {
            guard let name = command.first, command.count == 2 else { throw CommandRejected("no number") }
            if names.contains(name) { return sum }
            switch mistake {
            case .throwsAt30 where index.rawValue >= 30: throw CheckFailed("too many")
            case .refusesAlone where Bool.random(): throw CommandRejected("in no mood")
            default: break
            }
            names.append(name)
            sum += Int(command[1]) + (mistake == .drawsLots ? Int.random(in: 0...1) : 0)
            return mistake == .goesByHashOrder ? Int(Set(names).first ?? 0) : sum
        }

        func snapshot() throws -> StateSnapshot {
            StateSnapshot(Array("\(sum) ".utf8) + (mistake == .forgetsNames ? [] : names))
        }

        mutating func restore(from snapshot: SnapshotReader) throws {
            let parts = try snapshot.readAll().split(separator: UInt8(ascii: " "), maxSplits: 1)
            sum = parts.first.flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
            names = parts.count > 1 ? Array(parts[1]) : []
        }
    }

    /// The same without `==`: only its snapshots can be compared.
    private final class Register: StateMachine {
        var value: UInt8 = 0
        let tag: UInt8
        init(tag: UInt8) { self.tag = tag }
        func apply(_ command: [UInt8], at index: LogIndex) throws { value = command.first ?? 0 }
        func snapshot() throws -> StateSnapshot { StateSnapshot([value, tag]) }
        func restore(from snapshot: SnapshotReader) throws { value = try snapshot.readAll().first ?? 0 }
    }

    private static func command(_ random: inout SimulationRandom) -> [UInt8] {
        [UInt8.random(in: 33...255, using: &random), UInt8.random(in: 1...9, using: &random)]
    }

    private func play(
        _ seed: UInt64, _ mistake: Counter.Mistake = .none, _ configure: (inout SimulationOptions) -> Void = { _ in },
        check: @escaping (ClusterHistory<Counter>) throws -> Void = { _ in }
    ) -> SimulationReport {
        ClusterSimulation.run(
            seed: seed, configure, machine: { Counter(mistake: mistake) }, command: Self.command, check: check)
    }

    @Test func `the same seed gives the same play, and another one another`() {
        let first = play(4)
        let second = play(4)
        #expect(first.digest == second.digest)
        #expect(first.story == second.story)
        #expect(first.counts == second.counts)
        #expect(!first.story.isEmpty)
        #expect(play(5).digest != first.digest)
    }

    @Test func `a right machine survives, and much has happened to it`() {
        let summary = ClusterSimulation.run(
            seeds: 1...20, machine: { Counter() }, command: Self.command,
            check: { history in
                #expect(history.machines.count == 3)
                #expect(history.applied.count >= history.commands.count { $0.index != nil })
                // The machine that is asked what the clients were told.
                var model = Counter()
                for command in history.applied {
                    let answer = try model.apply(command.command, at: command.index ?? .zero)
                    guard case .answered(let told) = command.outcome else { continue }
                    guard told == answer else { throw CheckFailed("\(told) instead of \(answer)") }
                }
                guard history.machines.allSatisfy({ $0 == model }) else { throw CheckFailed("another state") }
            })
        #expect(summary.failure == nil, "\(summary)")
        #expect(summary.seeds == 20)
        #expect(summary.counts.acknowledged > 5_000)
        #expect(summary.counts.crashes > 50)
        #expect(summary.counts.snapshotsTaken > 100)
        #expect(summary.counts.snapshotsInstalled > 0)
        #expect(summary.counts.reads > 1_000)
    }

    @Test func `a field that a snapshot forgets is found, and the schedule that is left is short`() throws {
        let summary = ClusterSimulation.run(
            seeds: 1...10, machine: { Counter(mistake: .forgetsNames) }, command: Self.command)
        let report = try #require(summary.failure)
        let failure = try #require(report.failure)
        #expect(failure.contains("differ") || failure.contains("answers"), "\(failure)")
        #expect(report.story.count < report.faults)
        #expect(report.story.count <= 3, "\(report)")
    }

    @Test func `chance in a machine is found, and the order of a set`() throws {
        let failure = try #require(play(1, .drawsLots).failure)
        #expect(failure.contains("answers command") || failure.contains("differ"), "\(failure)")
        #expect(play(1, .refusesAlone).failure != nil)
        #expect(play(1, .goesByHashOrder).failure != nil)
    }

    @Test func `a machine that throws is found, with what it has thrown`() throws {
        let report = play(1, .throwsAt30)
        #expect(try #require(report.failure).contains("too many"))
        #expect(report.story.isEmpty, "no fault is needed for it")
    }

    @Test func `machines that cannot be compared are compared by their snapshots`() throws {
        func play(_ makeTag: @escaping () -> UInt8) -> SimulationReport {
            ClusterSimulation.run(
                seed: 1, { $0.duration = .seconds(2) }, machine: { Register(tag: makeTag()) }, command: Self.command)
        }
        #expect(play { 7 }.failure == nil)
        var tag: UInt8 = 0
        let report = play {
            tag &+= 1
            return tag
        }
        #expect(try #require(report.failure).contains("snapshots differ"))
    }

    @Test func `what the user's own check throws is the failure`() throws {
        let report = play(1, .none, { $0.shorteningPlays = 0 }, check: { _ in throw CheckFailed("I do not like it") })
        #expect(try #require(report.failure).hasSuffix("the check says: I do not like it"))
        #expect(report.counts.acknowledged > 0)
    }

    @Test func `faults can be switched off, and options that make no sense are refused`() {
        let calm = play(3, .none, { $0.faults = [] })
        #expect(calm.failure == nil)
        #expect(calm.story.isEmpty)
        #expect(calm.counts.crashes == 0)
        #expect(calm.counts.elections == 1)
        let kills = play(3, .none, { $0.faults = [.kill] })
        #expect(kills.counts.crashes > 0)
        #expect(kills.story.allSatisfy { $0.contains("is killed") })
        #expect(play(1, .none, { $0.members = 0 }).failure == "these options make no sense: members is 0")
    }

    @Test(arguments: [1, 2, 5]) func `clusters of other sizes survive`(members: Int) {
        for seed in 1...3 as ClosedRange<UInt64> {
            let report = play(seed, .none, { $0.members = members })
            #expect(report.failure == nil, "\(report)")
        }
    }

    @Test func `the members may behave as they do in earnest`() {
        let report = play(2, .none, { $0.raft = RaftOptions() })
        #expect(report.failure == nil, "\(report)")
        #expect(report.counts.snapshotsTaken == 0, "ten thousand entries are not come by in so short a time")
    }
}
