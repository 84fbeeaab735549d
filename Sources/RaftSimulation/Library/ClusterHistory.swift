public import Raft

/// All that was proposed in a play, and what became of it.
public struct ClusterHistory<Machine: StateMachine> {
    /// In the order in which they were proposed.
    public var commands: [ProposedCommand<Machine.Response>] = []
    /// The members' machines at the end, when all are up and have applied the same: by ascending id.
    public var machines: [Machine] = []

    /// Those that were applied, in the log's order.
    public var applied: [ProposedCommand<Machine.Response>] {
        commands.filter { $0.index != nil }.sorted { ($0.index?.rawValue ?? 0) < ($1.index?.rawValue ?? 0) }
    }
}

/// One command that a client has proposed.
public struct ProposedCommand<Response: Sendable>: Sendable {
    public enum Outcome: Sendable {
        /// Acknowledged: applied, with this answer.
        case answered(Response)
        /// Acknowledged: the machine has refused it with `CommandRejected`.
        case rejected(String)
        /// The client does not know whether it was applied; ``ProposedCommand/index`` tells.
        case unknown(String)
    }

    public var command: [UInt8]
    /// The member that it was proposed to.
    public var member: NodeID
    /// Since the start, in virtual time.
    public var proposed: Duration
    /// When the client was answered, with whatever it was.
    public var answered: Duration?
    public var outcome = Outcome.unknown("there was no answer")
    /// Its place in the log, if any member has applied it.
    public var index: LogIndex?

    var isAcknowledged: Bool { if case .unknown = outcome { false } else { true } }
}

/// Says what a check has found; any other error will do as well.
public struct CheckFailed: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String
    public init(_ reason: String) { description = reason }
}
