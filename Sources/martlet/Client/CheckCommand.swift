import ArgumentParser

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Tries how fast a cluster is, and how much memory its data needs.",
        subcommands: [CheckPerfCommand.self, CheckDatascaleCommand.self])
}

/// The four sizes that the checks have.
enum CheckLoad: String {
    case small, medium, large, extraLarge

    init(_ text: String) throws(CommandFailure) {
        switch text {
        case "s", "small": self = .small
        case "m", "medium": self = .medium
        case "l", "large": self = .large
        case "xl", "xLarge": self = .extraLarge
        default: throw .badFeature("unknown load option \(text); use s, m, l or xl")
        }
    }

    /// Clients at once.
    var clients: Int {
        switch self {
        case .small: 50
        case .medium: 200
        case .large: 500
        case .extraLarge: 1_000
        }
    }

    /// What `check perf` puts a second.
    var putsPerSecond: Int {
        switch self {
        case .small: 150
        case .medium: 1_000
        case .large: 8_000
        case .extraLarge: 15_000
        }
    }

    /// What `check datascale` puts.
    var pairs: Int {
        switch self {
        case .small: 10_000
        case .medium: 100_000
        case .large: 1_000_000
        case .extraLarge: 3_000_000
        }
    }
}
