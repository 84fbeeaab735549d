/// Agreement "requires separate majorities from both the old and new configurations" (§6).
struct JointQuorum: Sendable {
    var incoming: MajorityQuorum
    /// Empty, and so agreeable, when the configuration is not joint.
    var outgoing: MajorityQuorum

    init(_ configuration: Configuration) {
        incoming = MajorityQuorum(voters: configuration.voters)
        outgoing = MajorityQuorum(voters: configuration.outgoingVoters)
    }

    init(incoming: [NodeID], outgoing: [NodeID]) {
        self.incoming = MajorityQuorum(voters: incoming)
        self.outgoing = MajorityQuorum(voters: outgoing)
    }

    @inline(__always)
    func reached(_ value: (NodeID) -> UInt64?) -> UInt64 {
        min(incoming.reached(value), outgoing.reached(value))
    }

    func outcome(_ vote: (NodeID) -> Bool?) -> VoteOutcome {
        switch (incoming.outcome(vote), outgoing.outcome(vote)) {
        case (.lost, _), (_, .lost): .lost
        case (.won, .won): .won
        default: .pending
        }
    }
}
