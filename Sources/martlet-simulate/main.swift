import Foundation
import RaftSimulation
import Synchronization

// Plays seeds and says what they came to. Exit code 1 if any seed failed.

func usage() -> Never {
    print(
        """
        usage: martlet-simulate [--seed N] [--seeds M] [--jobs J] [--seconds S] [--verbose] [--story] [--no-shortening]
                                [--theme NAME] [--mutation NAME] [--leases] [--trace]

          --seed N         the first seed (default 1)
          --seeds M        how many seeds to play (default 100)
          --jobs J         how many to play at a time (default: one a processor)
          --seconds S      virtual seconds in which things go wrong (default 20)
          --verbose        a line for each seed
          --story          what went wrong in each seed, in order
          --trace          what happens in each seed as it happens, what the members' consensus notes too
          --no-shortening  a failing seed's schedule is not shortened to the steps that matter
          --theme NAME     all plays are about \(Swarm.Theme.allCases.map(\.rawValue).joined(separator: ", "))
          --leases         in all plays clients hold leases and take locks beside (otherwise in some)
          --mutation NAME  plays with a mistake built in (only in builds made with MARTLET_MUTATIONS=1)
          --survey         plays the seeds with each mistake in turn, or with the one named, and prints a table
        """)
    exit(2)
}

var seed: UInt64 = 1
var seeds: UInt64 = 100
var jobs = ProcessInfo.processInfo.activeProcessorCount
var isVerbose = false
var tellsStory = false
var shortens = true
var isSurvey = false
var options = Simulation.Options()
var arguments = CommandLine.arguments.dropFirst()
while let argument = arguments.popFirst() {
    func number() -> UInt64 {
        guard let text = arguments.popFirst(), let number = UInt64(text) else { usage() }
        return number
    }
    switch argument {
    case "--seed": seed = number()
    case "--seeds": seeds = number()
    case "--jobs": jobs = max(1, Int(clamping: number()))
    case "--seconds": options.safetyNanoseconds = number() * 1_000_000_000
    case "--verbose": isVerbose = true
    case "--story": tellsStory = true
    case "--trace":
        options.narrator = { line in print(line) }
        shortens = false
    case "--no-shortening": shortens = false
    case "--survey": isSurvey = true
    case "--leases": options.leases = true
    case "--theme":
        guard let theme = arguments.popFirst().flatMap(Swarm.Theme.init(rawValue:)) else { usage() }
        options.theme = theme
    case "--mutation":
        guard let name = arguments.popFirst() else { usage() }
        #if MARTLET_MUTATIONS
            guard SeededMistake.names.contains(name) else {
                print("unknown mutation \(name); there are: \(SeededMistake.names.joined(separator: ", "))")
                exit(2)
            }
            options.mutation = name
        #else
            print("--mutation \(name): this build has no mistakes built in; build with MARTLET_MUTATIONS=1")
            exit(2)
        #endif
    default: usage()
    }
}

if isSurvey {
    #if MARTLET_MUTATIONS
        let names = options.mutation.map { [$0] } ?? SeededMistake.names
        exit(MistakeSurvey(first: seed, count: seeds, jobs: jobs).run(names) ? 0 : 1)
    #else
        print("--survey: this build has no mistakes built in; build with MARTLET_MUTATIONS=1")
        exit(2)
    #endif
}

/// All seeds together.
struct Totals {
    var played = 0
    var failed = 0
    var steps = 0
    var virtualNanoseconds: UInt64 = 0
    var operations = 0
    var acknowledged = 0
    var renewals = 0
    var shortRenewals = 0
    var leasesEnded = 0
    var leaseKeysEnded = 0
    var longestOverdue: UInt64 = 0
    var locksTaken = 0
    var lockedWrites = 0
    var fencedOff = 0
    var eventsWatched = 0
    var pairsBefore = 0
    var watchesCompacted = 0
    var compactedReads = 0
    var elections = 0
    var configurations = 0
    var snapshots = 0
    var stops = 0
    var refusals = 0
    var undecided = 0
    var recoveries: [UInt64] = []

    mutating func add(_ report: Simulation.Report) {
        played += 1
        steps += report.steps
        virtualNanoseconds += report.virtualNanoseconds
        operations += report.operations
        acknowledged += report.acknowledged
        renewals += report.renewals
        shortRenewals += report.shortRenewals
        leasesEnded += report.leasesEnded
        leaseKeysEnded += report.leaseKeysEnded
        longestOverdue = max(longestOverdue, report.longestOverdue)
        locksTaken += report.locksTaken
        lockedWrites += report.lockedWrites
        fencedOff += report.fencedOff
        eventsWatched += report.eventsWatched
        pairsBefore += report.pairsBefore
        watchesCompacted += report.watchesCompacted
        compactedReads += report.compactedReads
        elections += report.counts.elections
        configurations += report.counts.configurations
        snapshots += report.counts.snapshots
        stops += report.counts.stops
        refusals += report.counts.refusals
        if let recovery = report.recoveryNanoseconds { recoveries.append(recovery) }
        if report.violation != nil {
            failed += 1
        } else if !report.isOrderFound {
            undecided += 1
        }
    }
}

let settings = options
let (isTalkative, hasStory, isShortening) = (isVerbose, tellsStory, shortens)
let (firstSeed, endSeed) = (seed, seed + seeds)
let nextSeed = Atomic<UInt64>(seed)
let totals = Mutex(Totals())
let output = Mutex(())

func say(_ lines: [String]) {
    output.withLock { _ in
        print(lines.joined(separator: "\n"))
        fflush(nil)
    }
}

func describe(_ report: Simulation.Report) {
    if let violation = report.violation {
        say([
            "seed \(report.seed) FAILED \(violation)",
            "  play it again: scripts/simulate --seed \(report.seed) --seeds 1"
                + (settings.theme.map { " --theme \($0.rawValue)" } ?? ""),
        ])
        guard isShortening else { return }
        let outcome = Shortening.shorten(report, options: settings)
        var lines = [
            "seed \(report.seed), shortened from \(report.schedule.count) misfortunes to "
                + "\(outcome.report.schedule.count) in \(outcome.plays) plays:"
        ]
        lines += outcome.report.story.map { "    \($0)" }
        lines.append("    \(outcome.report.violation ?? "")")
        say(lines)
    } else if isTalkative || hasStory {
        let counts = report.counts
        var lines = [
            "seed \(report.seed) ok: \(report.steps) steps, \(report.operations) operations, \(report.acknowledged) "
                + "acknowledged, \(counts.elections) elections, \(counts.configurations) configurations of "
                + "\(report.changesAsked) asked, \(counts.snapshots) snapshots, \(report.misfortunes) misfortunes, "
                + "\(counts.stops) stops, \(counts.refusals) refusals, \(report.messages) messages, digest "
                + String(report.digest, radix: 16)
        ]
        if hasStory { lines += report.story.map { "    \($0)" } }
        say(lines)
    }
}

let clock = ContinuousClock()
let start = clock.now
DispatchQueue.concurrentPerform(iterations: jobs) { _ in
    while true {
        let current = nextSeed.add(1, ordering: .relaxed).oldValue
        guard current < endSeed else { return }
        let report = Simulation.run(seed: current, options: settings)
        totals.withLock { $0.add(report) }
        describe(report)
    }
}
let took = clock.now - start
let seconds = Double(took.components.seconds) + Double(took.components.attoseconds) / 1e18
let all = totals.withLock { $0 }
let virtualSeconds = Double(all.virtualNanoseconds) / 1e9
let recoveries = all.recoveries.sorted()
func recovery(_ share: Double) -> String {
    recoveries.isEmpty
        ? "-" : "\(recoveries[min(recoveries.count - 1, Int(share * Double(recoveries.count)))] / 1_000_000) ms"
}
print(
    """
    \(all.played) seeds in \(Int(seconds.rounded())) s, \(jobs) at a time: \(all.steps) steps \
    (\(Int(Double(all.steps) / seconds))/s), \(Int(virtualSeconds)) virtual seconds (\(Int(virtualSeconds / seconds))/s)
    \(all.operations) operations, \(all.acknowledged) acknowledged; \(all.elections) elections, \(all.configurations) \
    changes of the configuration, \(all.snapshots) snapshots installed, \(all.stops) members stopped by failing disks, \
    \(all.refusals) refused damaged ones
    \(all.renewals) leases granted and renewed, \(all.shortRenewals) of them without an entry in the log; \
    \(all.leasesEnded) ended, with \(all.leaseKeysEnded) keys, at most \(all.longestOverdue) ms \
    overdue under one leader
    \(all.locksTaken) locks taken, \(all.lockedWrites) writes under them, \(all.fencedOff) of these kept out by their \
    fencing tokens alone
    \(all.eventsWatched) events watched, \(all.pairsBefore) of them with the pair before; \(all.watchesCompacted) \
    watches ended by compaction, \(all.compactedReads) transactions refused for a compacted revision
    from the end of misfortune to the first new write: median \(recovery(0.5)), 99 of 100 \(recovery(0.99)), \
    longest \(recovery(1))
    \(all.undecided) histories too tangled for the search for an order, checked by their revisions alone
    \(all.played - all.failed) passed, \(all.failed) failed
    """)
exit(all.failed == 0 ? 0 : 1)
