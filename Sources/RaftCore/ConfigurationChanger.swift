/// The arithmetic of membership changes (§6): from one configuration to the next, or to a reason why not.
///
/// Changes to voters are always made to the incoming half; the outgoing half is only ever a copy of what the incoming
/// one was when the configuration became joint.
struct ConfigurationChanger: Sendable {
    private(set) var configuration: Configuration
    /// Members that were not in the configuration at some time during the change: what was known of them is void.
    private(set) var fresh: [NodeID] = []

    init(_ configuration: Configuration) { self.configuration = configuration }

    /// What applying `change` to `configuration` leads to.
    static func apply(
        _ change: ConfigurationChange, to configuration: Configuration
    ) throws(ConfigurationRefusal) -> ConfigurationChanger {
        var changer = ConfigurationChanger(configuration)
        if change.leavesJoint {
            try changer.leaveJoint()
        } else if let automatic = change.entersJoint {
            try changer.enterJoint(leavesAutomatically: automatic, change.changes)
        } else {
            try changer.simple(change.changes)
        }
        return changer
    }

    /// C_old to C_old,new.
    mutating func enterJoint(
        leavesAutomatically: Bool, _ changes: [MemberChange]
    ) throws(ConfigurationRefusal) {
        try check()
        guard !configuration.isJoint else { throw ConfigurationRefusal.impossible("config is already joint") }
        guard !configuration.voters.isEmpty else {
            throw ConfigurationRefusal.impossible("can't make a zero-voter config joint")
        }
        configuration.outgoingVoters = configuration.voters
        try apply(changes)
        configuration.leavesAutomatically = leavesAutomatically
        try check()
    }

    /// C_old,new to C_new.
    mutating func leaveJoint() throws(ConfigurationRefusal) {
        try check()
        guard configuration.isJoint else { throw ConfigurationRefusal.impossible("can't leave a non-joint config") }
        for id in configuration.nextLearners { configuration.learners.insertSorted(id) }
        configuration.nextLearners = []
        configuration.outgoingVoters = []
        configuration.leavesAutomatically = false
        try check()
    }

    /// Changes by which the voters change by one at most: any two majorities before and after overlap.
    mutating func simple(_ changes: [MemberChange]) throws(ConfigurationRefusal) {
        try check()
        guard !configuration.isJoint else {
            throw ConfigurationRefusal.impossible("can't apply simple config change in joint config")
        }
        let before = configuration.voters
        try apply(changes)
        let after = configuration.voters
        let differing = before.count { !after.contains($0) } + after.count { !before.contains($0) }
        guard differing <= 1 else {
            throw ConfigurationRefusal.impossible("more than one voter changed without entering joint config")
        }
        try check()
    }

    private mutating func apply(_ changes: [MemberChange]) throws(ConfigurationRefusal) {
        // Zero names nobody: a state machine that refuses a step puts it there.
        for change in changes where change.node.rawValue != 0 {
            switch change.kind {
            case .addVoter: makeVoter(change.node)
            case .addLearner: makeLearner(change.node)
            case .remove: remove(change.node)
            case .update: break
            }
        }
        if configuration.voters.isEmpty { throw ConfigurationRefusal.removesAllVoters }
    }

    private mutating func makeVoter(_ id: NodeID) {
        noteIfFresh(id)
        configuration.learners.removeSorted(id)
        configuration.nextLearners.removeSorted(id)
        configuration.voters.insertSorted(id)
    }

    private mutating func makeLearner(_ id: NodeID) {
        noteIfFresh(id)
        guard !configuration.learners.contains(id) else { return }
        configuration.voters.removeSorted(id)
        // A voter of the outgoing half stays purely a voter until that half is gone.
        if configuration.outgoingVoters.contains(id) {
            configuration.nextLearners.insertSorted(id)
        } else {
            configuration.learners.insertSorted(id)
        }
    }

    private mutating func remove(_ id: NodeID) {
        configuration.voters.removeSorted(id)
        configuration.learners.removeSorted(id)
        configuration.nextLearners.removeSorted(id)
    }

    private mutating func noteIfFresh(_ id: NodeID) {
        if !configuration.contains(id) { fresh.insertSorted(id) }
    }

    private func check() throws(ConfigurationRefusal) {
        if let reason = configuration.inconsistency { throw ConfigurationRefusal.impossible(reason) }
    }
}

extension Configuration {
    /// Voter, in either half, or learner.
    public func contains(_ id: NodeID) -> Bool { isVoter(id) || learners.contains(id) }

    /// Voter in either half.
    public func isVoter(_ id: NodeID) -> Bool { voters.contains(id) || outgoingVoters.contains(id) }

    /// The voters of both halves, sorted.
    public var allVoters: [NodeID] { Self.union(voters, outgoingVoters) }

    /// Voters of both halves and learners, sorted.
    public var members: [NodeID] { Self.union(allVoters, learners) }

    private static func union(_ a: [NodeID], _ b: [NodeID]) -> [NodeID] {
        guard !b.isEmpty else { return a }
        var all = a
        for id in b { all.insertSorted(id) }
        return all
    }

    /// What is wrong with it, if anything is. Members that are voters and learners at once, for one.
    public var inconsistency: String? {
        for list in [voters, outgoingVoters, learners, nextLearners] {
            for place in list.indices {
                if list[place].rawValue == 0 { return "zero is not a member's id" }
                if place > 0, list[place - 1] >= list[place] { return "members are not sorted, or repeated" }
            }
        }
        for id in nextLearners {
            if !outgoingVoters.contains(id) { return "\(id.rawValue) is in LearnersNext, but not Voters[1]" }
            if voters.contains(id) { return "\(id.rawValue) is in LearnersNext and Voters[0]" }
            if learners.contains(id) {
                return "\(id.rawValue) is in LearnersNext, but is already marked as learner"
            }
        }
        for id in learners {
            if outgoingVoters.contains(id) { return "\(id.rawValue) is in Learners and Voters[1]" }
            if voters.contains(id) { return "\(id.rawValue) is in Learners and Voters[0]" }
        }
        if !isJoint, leavesAutomatically { return "AutoLeave must be false when not joint" }
        return nil
    }
}

extension ConfigurationChange {
    /// An empty change: the joint configuration is left.
    var leavesJoint: Bool { changes.isEmpty && transition == .automatic }

    /// Whether the change goes through a joint configuration, and if so, whether that one is left automatically.
    var entersJoint: Bool? {
        switch transition {
        case .automatic: changes.count > 1 ? true : nil
        case .jointImplicit: true
        case .jointExplicit: false
        }
    }
}

extension [NodeID] {
    mutating func insertSorted(_ id: NodeID) {
        let place = firstIndex { $0 >= id } ?? count
        if place < count, self[place] == id { return }
        insert(id, at: place)
    }

    mutating func removeSorted(_ id: NodeID) {
        if let place = firstIndex(of: id) { remove(at: place) }
    }
}
