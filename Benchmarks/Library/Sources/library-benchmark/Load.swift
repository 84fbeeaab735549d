import CSupport
import Raft
import Synchronization

/// Tasks that propose and wait, each again and again: as many as are to be in flight.
final class Load: Sendable {
    private let isMeasuring = Atomic(false)
    private let isOver = Atomic(false)
    let completed = Atomic(0)
    private let failure = Mutex<String?>(nil)

    private func propose(_ command: [UInt8], to member: RaftMember<Tally>) async -> Histogram {
        var histogram = Histogram()
        while !isOver.load(ordering: .relaxed) {
            let start = Clock.now
            do {
                _ = try await member.propose(command)
            } catch {
                failure.withLock { $0 = "\(error)" }
                isOver.store(true, ordering: .relaxed)
                return histogram
            }
            if isMeasuring.load(ordering: .relaxed) { histogram.record(Clock.now - start) }
            completed.add(1, ordering: .relaxed)
        }
        return histogram
    }

    /// Runs the load on `cluster` until there is enough of it.
    static func measure(
        _ shape: Shape, on cluster: Cluster, _ window: Window, payloadBytes: Int
    ) async throws -> Figures {
        let load = Load()
        let command = [UInt8](repeating: 0x61, count: payloadBytes)
        let tasks = (0..<shape.inFlight).map { _ in
            Task { await load.propose(command, to: cluster.leader) }
        }
        try await load.run(atLeast: window.warmUpSeconds, proposals: window.warmUpProposals, window)
        let term = cluster.leader.status?.term
        load.isMeasuring.store(true, ordering: .relaxed)
        let (before, countBefore) = (ProcessUse(), load.completed.load(ordering: .relaxed))
        try await load.run(atLeast: window.seconds, proposals: window.proposals, window)
        let (after, countAfter) = (ProcessUse(), load.completed.load(ordering: .relaxed))
        load.isMeasuring.store(false, ordering: .relaxed)
        let isSameTerm = cluster.leader.status?.term == term
        load.isOver.store(true, ordering: .relaxed)
        var times = Histogram()
        for task in tasks { times.add(await task.value) }
        if let failure = load.failure.withLock({ $0 }) { throw Problem("a proposal failed: \(failure)") }
        try await cluster.check(commands: load.completed.load(ordering: .relaxed))
        guard isSameTerm else { throw Problem("the leader changed while it was measured") }
        return Figures(
            proposals: countAfter - countBefore, before: before, after: after, times: times)
    }

    /// Waits for both: so much time, and so many proposals.
    private func run(atLeast seconds: Double, proposals: Int, _ window: Window) async throws {
        let start = Clock.now
        let first = completed.load(ordering: .relaxed)
        while !isOver.load(ordering: .relaxed) {
            let passed = Double(Clock.now - start) / 1e9
            if passed >= seconds, completed.load(ordering: .relaxed) - first >= proposals { return }
            if passed >= window.secondsMax { return }
            // Seldom, so that the looking itself does not count.
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}

/// How long a row is measured.
struct Window: Sendable {
    var warmUpSeconds = 0.3
    var warmUpProposals = 3_000
    var seconds = 1.0
    var proposals = 0
    /// The end, whatever is missing: a slow disk must not hold everything up.
    var secondsMax = 15.0
}

/// What one row measured.
struct Figures: Sendable {
    var proposals: Int
    var perSecond: Double
    var p50Microseconds: Double
    var p99Microseconds: Double
    var cpuMicroseconds: Double
    var allocations: Double
    var bytes: Double

    init(proposals: Int, before: ProcessUse, after: ProcessUse, times: Histogram) {
        self.proposals = proposals
        let count = Double(max(1, proposals))
        perSecond = Double(proposals) / (Double(after.nanoseconds - before.nanoseconds) / 1e9)
        p50Microseconds = Double(times.nanoseconds(at: 0.5)) / 1e3
        p99Microseconds = Double(times.nanoseconds(at: 0.99)) / 1e3
        cpuMicroseconds = (after.cpuMicroseconds - before.cpuMicroseconds) / count
        allocations = Double(after.counts.allocations - before.counts.allocations) / count
        bytes = Double(after.counts.bytes - before.counts.bytes) / count
    }
}
