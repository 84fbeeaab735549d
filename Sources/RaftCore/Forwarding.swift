/// What this node did not do of what another one passed on to it. The core knows a proposal by its bytes alone; whoever
/// gave it a name tells its proposer, by a ``Message/Body/forwardAnswer(_:)``, so that it need not wait for a deadline.
public enum RefusedForward: Hashable, Sendable {
    /// None of these was taken, here or anywhere else.
    case proposals([Proposal], reason: RefusalReason)
    /// This change of the configuration was not; an empty command has taken its place in the log.
    case configurationChange(Proposal, reason: ConfigurationRefusal)
    /// `to` is nil where the best was asked for.
    case transfer(to: NodeID?, reason: TransferRefusal)
}

/// What a member is told of the requests that it had passed on. Best effort: an answer may be lost, or never be sent.
public enum ForwardAnswer: Hashable, Sendable {
    /// The proposals that the addressee knows by these numbers were not taken, and will not be.
    case proposalsRefused([UInt64], reason: RefusalReason)
    case configurationChangeRefused(UInt64, reason: ConfigurationRefusal)
    /// `to` is nil where the best was asked for.
    case transferRefused(to: NodeID?, reason: TransferRefusal)
    /// What became of a transfer; where it succeeded, the new leader says so by being there.
    case transferEnded(to: NodeID, outcome: TransferOutcome)
}
