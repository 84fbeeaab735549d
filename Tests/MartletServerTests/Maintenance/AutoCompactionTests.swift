import MVCC
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import MartletServer

@Suite struct AutoCompactionTests {
    private static let minute: UInt64 = 60_000_000_000

    /// Looks for so long, the revision of each look being the minute it is at; what was asked for, by minute.
    private func play(
        _ compaction: inout AutoCompaction, minutes: ClosedRange<UInt64>, leads: (UInt64) -> Bool = { _ in true },
        fails: (UInt64) -> Bool = { _ in false }
    ) -> [UInt64: Int64] {
        var asked: [UInt64: Int64] = [:]
        for minute in minutes where minute % (compaction.rule.lookNanoseconds / Self.minute) == 0 {
            let now = minute * Self.minute
            let revision = compaction.look(
                now: now, revision: Revision(Int64(minute) + 100), isLeader: leads(minute))
            guard let revision else { continue }
            asked[minute] = revision.rawValue - 100
            if !fails(minute) { compaction.compacted(at: revision, now: now) }
        }
        return asked
    }

    private func periodic(_ hours: UInt64) -> AutoCompaction {
        AutoCompaction(.periodic(hours * AutoCompaction.hour), revision: Revision(100), now: 0)
    }

    @Test func `an hour is kept in tenths, and compacted each hour`() {
        var compaction = periodic(1)
        #expect(compaction.rule.lookNanoseconds == 6 * Self.minute)
        // As etcd's loop has it: the first after one period, to its beginning; then each hour to what was an hour and
        // one look ago.
        #expect(play(&compaction, minutes: 1...200) == [60: 0, 120: 54, 180: 114])
    }

    @Test func `a day is kept, and compacted each hour after the first`() {
        var compaction = periodic(24)
        #expect(compaction.rule.lookNanoseconds == 6 * Self.minute)
        let asked = play(&compaction, minutes: 1...1_800)
        #expect(asked.keys.sorted() == [1_440, 1_500, 1_560, 1_620, 1_680, 1_740, 1_800])
        #expect(asked[1_440] == 0)
        // A day and one look.
        #expect(asked[1_500] == 54)
        #expect(asked[1_800] == 354)
    }

    @Test func `less than an hour is compacted each period`() {
        var compaction = AutoCompaction(.periodic(10 * Self.minute), revision: Revision(100), now: 0)
        #expect(compaction.rule.lookNanoseconds == Self.minute)
        #expect(play(&compaction, minutes: 1...31) == [10: 0, 20: 9, 30: 19])
    }

    @Test func `only the leader compacts, and a new one goes on at once where the other was`() {
        var compaction = periodic(1)
        // Follows for a while, leads later: its notes are as old as they would be had it led all the time.
        let asked = play(&compaction, minutes: 1...200, leads: { $0 > 130 })
        #expect(asked == [132: 66, 192: 126])
    }

    @Test func `what failed is asked for again at the next look`() {
        var compaction = periodic(1)
        let asked = play(&compaction, minutes: 1...80, fails: { $0 < 70 })
        #expect(asked == [60: 0, 66: 0, 72: 6])
    }

    @Test func `nothing is asked for where nothing has changed`() {
        var compaction = periodic(1)
        var asked = 0
        for look in 1...100 as ClosedRange<UInt64> {
            let now = look * 6 * Self.minute
            guard let revision = compaction.look(now: now, revision: Revision(100), isLeader: true) else { continue }
            compaction.compacted(at: revision, now: now)
            asked += 1
        }
        #expect(asked == 1)
    }

    @Test func `a number of revisions is kept, looked after every five minutes`() {
        var compaction = AutoCompaction(.revision(40), revision: Revision(1), now: 0)
        #expect(compaction.rule.lookNanoseconds == 5 * Self.minute)
        #expect(compaction.look(now: 1, revision: Revision(40), isLeader: true) == nil)
        #expect(compaction.look(now: 2, revision: Revision(90), isLeader: false) == nil)
        #expect(compaction.look(now: 3, revision: Revision(90), isLeader: true) == Revision(50))
        compaction.compacted(at: Revision(50), now: 3)
        #expect(compaction.look(now: 4, revision: Revision(90), isLeader: true) == nil)
        #expect(compaction.look(now: 5, revision: Revision(91), isLeader: true) == Revision(51))
    }

    // MARK: Flags

    @Test(arguments: [
        ("periodic", "0", nil), ("periodic", "1", AutoCompaction.Rule.periodic(AutoCompaction.hour)),
        ("periodic", "30m", .periodic(30 * minute)), ("periodic", "72h", .periodic(72 * AutoCompaction.hour)),
        ("periodic", "0s", nil), ("revision", "0", nil), ("revision", "1000", .revision(1_000)),
    ])
    func `retention is read by its mode`(mode: String, retention: String, expected: AutoCompaction.Rule?) throws {
        let parser = ConfigurationParser(environment: [:])
        let invocation = try parser.parse([
            "--auto-compaction-retention", retention, "--auto-compaction-mode", mode,
        ])
        guard case .run(let configuration) = invocation else {
            Issue.record("nothing to run")
            return
        }
        #expect(configuration.autoCompaction == expected)
    }

    @Test(arguments: [
        ("periodic", "-1", "below zero"), ("periodic", "soon", "neither a number of hours nor a duration"),
        ("periodic", "1ms", "too short"), ("periodic", "9999999999", "century"), ("revision", "1h", "not a number"),
        ("revision", "-5", "below zero"), ("sometimes", "1", "not one of periodic and revision"),
    ])
    func `a retention that says nothing is refused`(mode: String, retention: String, part: String) {
        let parser = ConfigurationParser(environment: [
            "ETCD_AUTO_COMPACTION_RETENTION": retention, "ETCD_AUTO_COMPACTION_MODE": mode,
        ])
        do {
            _ = try parser.parse([])
            Issue.record("it was taken")
        } catch {
            #expect(error.message.contains(part), "\(error.message)")
        }
    }

    // MARK: The compactor

    private final class Scene: Sendable {
        struct State {
            var now: UInt64 = 0
            var sight = AutoCompactor.Sight(revision: Revision(100), compactRevision: Revision(-1), isLeader: true)
            var asked: [Int64] = []
            var failure: String?
        }
        let state = Mutex(State())

        var world: AutoCompactor.World {
            AutoCompactor.World(
                now: { self.state.withLock { $0.now } }, sight: { self.state.withLock { $0.sight } },
                compact: { revision, done in
                    let failure = self.state.withLock { state in
                        state.asked.append(revision.rawValue)
                        if state.failure == nil { state.sight.compactRevision = revision }
                        return state.failure
                    }
                    done(failure)
                })
        }
    }

    @Test func `a compaction by hand is not repeated, and one that failed is`() throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { try? group.syncShutdownGracefully() }
        let eventLoop = group.next()
        let scene = Scene()
        let compactor = AutoCompactor(
            .revision(10), on: eventLoop, world: scene.world, logger: quietLogger)
        func look() throws { try eventLoop.submit { compactor.look() }.wait() }
        scene.state.withLock { $0.failure = "no leader" }
        try look()
        try look()
        scene.state.withLock { $0.failure = nil }
        try look()
        try look()
        #expect(scene.state.withLock { $0.asked } == [90, 90, 90])
        scene.state.withLock {
            $0.sight.revision = Revision(200)
            $0.sight.compactRevision = Revision(195)
        }
        try look()
        #expect(scene.state.withLock { $0.asked }.count == 3)
        scene.state.withLock { $0.sight.revision = Revision(300) }
        try look()
        #expect(scene.state.withLock { $0.asked }.last == 290)
    }
}
