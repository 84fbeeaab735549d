/// What came of one seed.
public struct SimulationReport: Sendable, CustomStringConvertible {
    public var seed: UInt64
    /// What went wrong, and when; nil if nothing did.
    public var failure: String?
    /// A number over everything that happened: the same whenever the seed is played, with the same code and options.
    public var digest: UInt64 = 0
    /// The faults that were played, with their times. Where the play failed, those that it needs to fail.
    public var story: [String] = []
    /// How many faults there were before those that do not matter were left out.
    public var faults = 0
    public var counts = SimulationCounts()

    init(seed: UInt64) { self.seed = seed }

    public var description: String {
        guard let failure else {
            return "seed \(seed) passed: \(counts), digest \(String(digest, radix: 16))"
        }
        var lines = ["seed \(seed) failed: \(failure)"]
        lines.append(story.isEmpty ? "  no fault is needed for it" : "  these of its \(faults) faults are enough:")
        lines += story.map { "    \($0)" }
        return lines.joined(separator: "\n")
    }
}

/// What came of several seeds.
public struct SimulationSummary: Sendable, CustomStringConvertible {
    public var seeds = 0
    public var counts = SimulationCounts()
    /// Of the seed that failed. No other was played after it.
    public var failure: SimulationReport?

    mutating func add(_ report: SimulationReport) {
        seeds += 1
        counts.add(report.counts)
        if report.failure != nil { failure = report }
    }

    public var description: String {
        failure.map { "\($0)" } ?? "\(seeds) seeds passed: \(counts)"
    }
}

/// How much has happened.
public struct SimulationCounts: Hashable, Sendable, CustomStringConvertible {
    public var proposed = 0
    public var acknowledged = 0
    public var reads = 0
    public var elections = 0
    /// Ends of processes, by kill, power cut or failing disks.
    public var crashes = 0
    /// Snapshots that members have written for themselves.
    public var snapshotsTaken = 0
    /// Snapshots that members were sent by others.
    public var snapshotsInstalled = 0
    public var virtualTime = Duration.zero

    mutating func add(_ other: SimulationCounts) {
        proposed += other.proposed
        acknowledged += other.acknowledged
        reads += other.reads
        elections += other.elections
        crashes += other.crashes
        snapshotsTaken += other.snapshotsTaken
        snapshotsInstalled += other.snapshotsInstalled
        virtualTime += other.virtualTime
    }

    public var description: String {
        "\(acknowledged) of \(proposed) commands acknowledged, \(reads) reads, \(elections) elections, \(crashes) "
            + "crashes, \(snapshotsTaken) snapshots taken and \(snapshotsInstalled) installed in "
            + "\(virtualTime.components.seconds) virtual seconds"
    }
}
