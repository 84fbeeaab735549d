import Platform
import Raft
import RaftCore

/// One seed's whole play: a cluster, clients and faults; then calm, in which the cluster must come together; then the
/// verdict.
struct ClusterPlay<Machine: StateMachine> {
    /// What the user brings.
    struct User {
        var machine: () -> Machine
        var command: (inout SimulationRandom) -> [UInt8]
        var check: (ClusterHistory<Machine>) throws -> Void
    }

    private let options: SimulationOptions
    private let user: User
    private let cluster: LibraryCluster<Machine>
    private let clients: LibraryClients<Machine>
    private let player: LibraryPlayer<Machine>

    /// Plays a seed. Where it fails, plays it again with fewer and fewer faults.
    static func run(seed: UInt64, options: SimulationOptions, user: User) -> SimulationReport {
        if let reason = options.inconsistency {
            var report = SimulationReport(seed: seed)
            report.failure = "these options make no sense: \(reason)"
            return report
        }
        var draw = RandomSource(seed: seed ^ 0x11b_5eed)
        let settings = LibraryCluster<Machine>.Settings(options, drawing: &draw)
        let schedule = ScheduledFault.schedule(options, drawing: &draw)
        func play(_ schedule: [ScheduledFault]) -> SimulationReport {
            var report = SimulationReport(seed: seed)
            report.faults = schedule.count
            do {
                let play = try ClusterPlay(
                    seed: seed, options: options, user: user, settings: settings, schedule: schedule)
                play.run(into: &report)
            } catch {
                report.failure = "the cluster cannot be made: \(error)"
            }
            return report
        }
        var report = play(schedule)
        guard report.failure != nil, options.shorteningPlays > 0 else { return report }
        _ = Shortening.shorten(schedule, playsMax: options.shorteningPlays) { shorter in
            let shortened = play(shorter)
            if shortened.failure != nil { report = shortened }
            return shortened.failure != nil
        }
        report.faults = schedule.count
        return report
    }

    private init(
        seed: UInt64, options: SimulationOptions, user: User, settings: LibraryCluster<Machine>.Settings,
        schedule: [ScheduledFault]
    ) throws {
        self.options = options
        self.user = user
        cluster = try LibraryCluster(
            seed: seed, members: options.members, settings: settings, makeMachine: user.machine)
        clients = LibraryClients(cluster: cluster, options: options, command: user.command)
        player = LibraryPlayer(cluster: cluster, schedule: schedule)
    }

    private func run(into report: inout SimulationReport) {
        for member in cluster.members { cluster.start(member) }
        clients.start()
        player.start()
        play(until: options.duration.simulatedNanoseconds)
        if cluster.failure == nil { playCalm() }
        if cluster.failure == nil { judge() }
        let crashes = cluster.counts.crashes
        for member in cluster.members { cluster.crash(member, powerCut: false) }
        report.failure = cluster.failure
        report.digest = cluster.digest.value
        report.story = player.story
        report.counts = cluster.counts
        report.counts.crashes = crashes
        report.counts.proposed = clients.commands.count
        report.counts.virtualTime = .nanoseconds(Int64(cluster.queue.now))
        cluster.queue.removeAll()
    }

    private func play(until end: UInt64) {
        var nextComparison = cluster.queue.now + 1_000_000_000
        while cluster.queue.now < end, cluster.failure == nil {
            cluster.queue.run(until: min(nextComparison, end))
            if cluster.queue.steps >= cluster.queue.stepsMax { cluster.fail("the play does not come to an end") }
            cluster.compareMachines()
            nextComparison = cluster.queue.now + 1_000_000_000
        }
    }

    // MARK: Calm

    /// How long a healthy cluster may take to come together.
    private var patienceNanoseconds: UInt64 {
        max(20_000_000_000, 20 * cluster.settings.raft.electionTimeout.simulatedNanoseconds)
    }

    private func playCalm() {
        player.stop()
        let first = clients.commands.count
        let end = cluster.queue.now + patienceNanoseconds
        while cluster.failure == nil, !clients.commands[first...].contains(where: \.isAcknowledged) {
            guard cluster.queue.now < end else {
                return cluster.fail("after all is well no command is acknowledged: \(standing)")
            }
            play(until: cluster.queue.now + 100_000_000)
        }
        clients.stop()
        // What is under way may still get into the log: that all stand at one place must last.
        var last: LogIndex?
        var since = cluster.queue.now
        while cluster.failure == nil, last == nil || cluster.queue.now < since + 1_000_000_000 {
            guard cluster.queue.now < end + patienceNanoseconds else {
                return cluster.fail("after all is well the members do not come to the same place: \(standing)")
            }
            play(until: cluster.queue.now + 100_000_000)
            let place = commonPlace
            if place == nil || place != last { since = cluster.queue.now }
            last = place
        }
    }

    /// The entry that all members have applied, and that ends all of their logs; nil if there is no such.
    private var commonPlace: LogIndex? {
        guard let place = cluster.members.first?.node?.published.status.lastIndex else { return nil }
        let haveAll = cluster.members.allSatisfy { member in
            guard let published = member.node?.published, published.status.lastIndex == place else { return false }
            // The machine's own word: the status hears of an installed snapshot only with the next entry.
            return published.view(ifAppliedUpTo: place) != nil
        }
        return haveAll ? place : nil
    }

    private var standing: String {
        cluster.members.map { member in
            guard let status = member.node?.published.status else { return "member \(member.id) is down" }
            return
                "member \(member.id) is \(status.role) of term \(status.term.rawValue), has "
                + "\(status.lastIndex.rawValue) entries, \(status.commit.rawValue) committed, "
                + "\(status.applied.rawValue) applied"
        }.joined(separator: "; ")
    }

    // MARK: The verdict

    private func judge() {
        cluster.compareMachines()
        cluster.compareSnapshots()
        clients.checkOrder()
        clients.checkNothingLost()
        guard cluster.failure == nil else { return }
        let history = ClusterHistory(
            commands: clients.conclude(),
            machines: cluster.members.compactMap { $0.node?.published.view.read { $0.machine } })
        do {
            try user.check(history)
        } catch {
            cluster.fail("the check says: \(error)")
        }
    }
}

extension LibraryCluster.Settings {
    init(_ options: SimulationOptions, drawing draw: inout RandomSource) {
        logPace.most = 100_000 + draw.next() % 20_000_000
        raft.heartbeatInterval = .milliseconds(20 + draw.below(80))
        raft.electionTimeout = raft.heartbeatInterval * (4 + draw.below(8))
        raft.preVote = !draw.oneIn(3)
        raft.readMode = draw.oneIn(4) ? .lease : .quorum
        raft.snapshotEntries = draw.oneIn(3) ? UInt64(1 + draw.below(10)) : UInt64(20 + draw.below(200))
        raft.catchUpEntries = draw.oneIn(3) ? UInt64(draw.below(5)) : UInt64(5 + draw.below(100))
        // Small, so that followers that lag are served from the disk.
        raft.logCacheBytes = 4 << 10
        segmentBytes = 8 << (10 + draw.below(4))
        if let own = options.raft {
            raft = own
            segmentBytes = own.segmentBytes ?? 64 << 10
        }
        // Leases bear as much as their margin of a tick; everything else any drift.
        if raft.readMode == .lease { driftMillionths = 20_000 }
    }
}
