@testable import RaftCore

// What a command may be given. Whatever else a file says is an error: a scenario that is played without something that
// it asks for proves nothing.

extension DataDrivenCase {
    func require(arguments known: [String]) throws {
        for argument in arguments where !argument.values.isEmpty && !known.contains(argument.key) {
            throw ScenarioError("\(line): \(command) does not know \(argument.key)")
        }
    }

    /// The numbers without a key, at least `count` of them.
    func ids(_ count: Int, known: [String] = []) throws -> [UInt64] {
        try require(arguments: known)
        let ids = positional
        guard ids.count >= count else { throw ScenarioError("\(line): \(command) needs \(count) numbers") }
        return ids
    }

    func number(_ key: String) throws -> UInt64? {
        guard let text = value(key) else { return nil }
        guard let number = UInt64(text) else { throw ScenarioError("\(line): \(key)=\(text) is no number") }
        return number
    }

    func boolean(_ key: String) throws -> Bool? {
        guard let text = value(key) else { return nil }
        switch text {
        case "true": return true
        case "false": return false
        default: throw ScenarioError("\(line): \(key)=\(text) is neither true nor false")
        }
    }

    func members(_ key: String) throws -> [NodeID] {
        try (argument(key)?.values ?? []).map { text in
            guard let id = UInt64(text) else { throw ScenarioError("\(line): \(text) is no member") }
            return NodeID(id)
        }
    }

    /// Upstream's options of `add-nodes`, and ours.
    func options(id: NodeID, seed: UInt64) throws -> RaftCore.Options {
        var options = RaftCore.Options(id: id, randomSeed: seed)
        options.electionTicks = Int(try number("election-ticks") ?? 3)
        options.preVote = try boolean("prevote") ?? false
        options.checkQuorum = try boolean("checkquorum") ?? false
        switch value("read-only") {
        case nil, "safe": options.readMode = .quorum
        case "lease-based": options.readMode = .lease
        case let other?: throw ScenarioError("\(line): read-only=\(other)")
        }
        if let ticks = try number("lease-margin") { options.leaseMarginTicks = Int(ticks) }
        options.maxMessageBytes = Int(try number("max-message-bytes") ?? UInt64(Int.max))
        options.maxInflightBytes = .max
        if let bytes = try number("max-inflight-bytes") {
            options.maxInflightBytes = Int(bytes)
            options.maxMessageBytes = min(options.maxMessageBytes, Int(bytes))
        }
        options.maxInflightMessages = Int(try number("inflight") ?? UInt64(Int32.max))
        options.maxUncommittedBytes = Int(try number("max-uncommitted-bytes") ?? UInt64(Int.max))
        options.validatesConfigurationChanges = !(try boolean("disable-conf-change-validation") ?? false)
        options.whenVoteIsLost = try boolean("step-down-on-removal") ?? false ? .stepsDown : .leads
        if try boolean("hands-over") ?? false { options.whenVoteIsLost = .handsOver }
        // Upstream does not look at these.
        let isStrict = try boolean("strict") ?? false
        options.refusesUnknownMembers = isStrict
        options.refusesQuorumLoss = isStrict
        options.promotesOnlyCaughtUp = isStrict
        options.announcesCommit = try boolean("announces-commit") ?? true
        options.returnsLeadership = try boolean("returns-leadership") ?? true
        options.priorities = try (argument("priorities")?.values ?? []).map { text in
            let parts = text.split(separator: ":")
            guard parts.count == 2, let member = UInt64(parts[0]), let priority = Int(parts[1]) else {
                throw ScenarioError("\(line): priority \(text)")
            }
            return .init(id: NodeID(member), priority: priority)
        }
        return options
    }

    static let nodeArguments = [
        // Upstream's. `content` is the state's, which no transcript shows.
        "voters", "learners", "index", "content", "async-storage-writes", "prevote", "checkquorum", "read-only",
        "max-committed-size-per-ready", "disable-conf-change-validation", "step-down-on-removal", "inflight",
        "max-inflight-bytes",
        // Ours.
        "election-ticks", "lease-margin", "max-message-bytes", "max-uncommitted-bytes", "hands-over", "strict",
        "announces-commit", "returns-leadership", "priorities",
    ]
}
