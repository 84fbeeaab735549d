import Synchronization

/// What `/livez` and `/readyz` are made of.
enum HealthCheck: String, Sendable, CaseIterable {
    case dataCorruption = "data_corruption"
    case serializableRead = "serializable_read"
    case linearizableRead = "linearizable_read"
    case nonLearner = "non_learner"

    /// The checks of a path, in the order in which they are told.
    enum Group: String, Sendable, CaseIterable {
        case livez
        case readyz

        var checks: [HealthCheck] {
            switch self {
            case .livez: [.serializableRead]
            case .readyz: [.dataCorruption, .serializableRead, .linearizableRead, .nonLearner]
            }
        }
    }
}

/// How often health was asked for, and what was found; for `/metrics`.
final class HealthCounts: Sendable {
    struct Line: Hashable, Sendable {
        var group: HealthCheck.Group
        var check: HealthCheck
    }

    struct Outcomes: Sendable {
        var lastSucceeded = false
        var successes: UInt64 = 0
        var failures: UInt64 = 0
    }

    struct Figures: Sendable {
        var healthSuccesses: UInt64 = 0
        var healthFailures: UInt64 = 0
        var checks: [Line: Outcomes] = [:]
    }

    private let state = Mutex(Figures())

    var figures: Figures { state.withLock { $0 } }

    func note(health isHealthy: Bool) {
        state.withLock { if isHealthy { $0.healthSuccesses += 1 } else { $0.healthFailures += 1 } }
    }

    func note(_ group: HealthCheck.Group, _ check: HealthCheck, succeeded: Bool) {
        state.withLock { figures in
            var outcomes = figures.checks[Line(group: group, check: check)] ?? Outcomes()
            outcomes.lastSucceeded = succeeded
            if succeeded { outcomes.successes += 1 } else { outcomes.failures += 1 }
            figures.checks[Line(group: group, check: check)] = outcomes
        }
    }
}
