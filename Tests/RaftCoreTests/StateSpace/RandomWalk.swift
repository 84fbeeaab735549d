@testable import RaftCore

/// Long ways through a model that is too large to explore: steps by chance, from a seed, with the same checks.
struct RandomWalk {
    struct Report {
        var steps = 0
        var walks = 0
        /// The greatest term, and the longest committed log, that any walk got to.
        var termMax: UInt64 = 0
        var committedMax: UInt64 = 0
        var violation: String?
        var seed: UInt64 = 0
        var path: [String] = []
    }

    /// Messages under way; beyond it, the one that was known longest is lost.
    private static let messagesMax = 48

    static func run(_ model: Model, seeds: ClosedRange<UInt64>, length: Int) -> Report {
        var report = Report()
        var cluster = ModelCluster(model)
        let header = cluster.initial.count
        for seed in seeds {
            // What was computed for one walk helps the next, as long as it does not fill the memory.
            if cluster.world.memberStates > 100_000 { cluster = ModelCluster(model) }
            var random = SplitMix64(seed: seed)
            var state = cluster.initial
            var next: [UInt32] = []
            var steps: [Step] = []
            var taken: [Step] = []
            report.walks += 1
            for _ in 0..<length {
                cluster.steps(from: state, into: &steps)
                guard !steps.isEmpty else { break }
                let step = choose(steps, &random)
                switch cluster.take(step, from: state, into: &next) {
                case .same, .outOfBounds: continue
                case .violation(let reason):
                    taken.append(step)
                    report.violation = reason
                    report.seed = seed
                    report.path = taken.map(cluster.describe)
                    return report
                case .new:
                    taken.append(step)
                    report.steps += 1
                    swap(&state, &next)
                    if state.count > header + messagesMax { state.remove(at: header) }
                    for member in 0..<model.members {
                        let facts = cluster.world.facts[Int(state[member])]
                        report.termMax = max(report.termMax, facts.term)
                        report.committedMax = max(report.committedMax, cluster.world.forest.length(facts.committed))
                    }
                }
            }
        }
        return report
    }

    /// Messages and disks mostly; timeouts and crashes now and then, or nobody would ever lead for long.
    private static func choose(_ steps: [Step], _ random: inout SplitMix64) -> Step {
        while true {
            let step = steps[Int(random.next() % UInt64(steps.count))]
            let odds: UInt64 =
                switch step.kind {
                case .timeout: 8
                case .crash, .crashKeepingState: 16
                case .tick, .transfer, .compact, .change, .snapshotFailed: 4
                default: 1
                }
            if random.next() % odds == 0 { return step }
        }
    }
}
