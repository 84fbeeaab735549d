/// Who takes part (§6): voters, those who also voted before (while the configuration is joint), and learners.
/// All lists are sorted and free of repetition.
public struct Configuration: Hashable, Sendable {
    public var voters: [NodeID]
    /// The outgoing half of a joint configuration; empty when the configuration is not joint.
    public var outgoingVoters: [NodeID]
    public var learners: [NodeID]
    /// Voters of the outgoing half that become learners when the joint configuration is left.
    public var nextLearners: [NodeID]
    /// Whether the leader leaves the joint configuration by itself.
    public var leavesAutomatically: Bool

    public var isJoint: Bool { !outgoingVoters.isEmpty }

    public init(
        voters: [NodeID] = [], outgoingVoters: [NodeID] = [], learners: [NodeID] = [],
        nextLearners: [NodeID] = [], leavesAutomatically: Bool = false
    ) {
        self.voters = voters.sorted()
        self.outgoingVoters = outgoingVoters.sorted()
        self.learners = learners.sorted()
        self.nextLearners = nextLearners.sorted()
        self.leavesAutomatically = leavesAutomatically
    }
}

/// One step of a membership change.
public struct MemberChange: Hashable, Sendable {
    public enum Kind: UInt8, Sendable {
        case addVoter = 0
        case remove = 1
        case update = 2
        case addLearner = 3
    }
    public var kind: Kind
    public var node: NodeID

    public init(_ kind: Kind, _ node: NodeID) {
        self.kind = kind
        self.node = node
    }
}

/// A proposed change of the configuration. Several steps, or an explicit transition, go through a joint
/// configuration; a single step need not. A change without steps leaves the joint configuration.
public struct ConfigurationChange: Hashable, Sendable {
    public enum Transition: UInt8, Sendable {
        /// Joint only where more than one voter changes, left automatically.
        case automatic = 0
        /// Joint always, left automatically.
        case jointImplicit = 1
        /// Joint always, left by a later empty change.
        case jointExplicit = 2
    }
    public var transition: Transition
    public var changes: [MemberChange]
    /// Opaque to consensus: the state machine's part of the change (a member's addresses).
    public var context: [UInt8]

    public init(transition: Transition = .automatic, changes: [MemberChange], context: [UInt8] = []) {
        self.transition = transition
        self.changes = changes
        self.context = context
    }
}
