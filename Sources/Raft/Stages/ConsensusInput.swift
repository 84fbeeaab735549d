package import PeerTransport
package import RaftCore

/// A command on its way into the log, and who waits for its result.
package struct CommandProposal<Machine: NodeMachine>: Sendable {
    /// The first ``ProposalID/encodedBytes`` bytes are free for the id.
    package var payload: [UInt8]
    package var ticket: Ticket<Machine.Result>

    package init(payload: [UInt8], ticket: Ticket<Machine.Result>) {
        self.payload = payload
        self.ticket = ticket
    }

    /// Surely small work (``NodeMachine/isQuick(_:)``).
    var isQuick: Bool {
        payload.withUnsafeBytes { ProposalID.command(of: $0).map(Machine.isQuick) ?? false }
    }
}

/// What became of other options.
package enum OptionsConclusion: Hashable, Sendable {
    case taken
    /// They stay as they were, and why.
    case refused(String)
}

/// What the consensus stage is told.
package enum ConsensusInput<Machine: NodeMachine>: Sendable {
    // From the server.
    case propose(CommandProposal<Machine>)
    case proposeMany([CommandProposal<Machine>])
    case read(Ticket<Machine.View>)
    case readMany([Ticket<Machine.View>])
    case changeConfiguration(ConfigurationChange, Ticket<Machine.Result>)
    /// To the best where nobody is named. Without a ticket nobody waits for what becomes of it.
    case transferLeadership(to: NodeID?, Ticket<TransferConclusion>?, timeoutNanoseconds: UInt64)
    case campaign
    case optionsChanged(NodeOptions, Ticket<OptionsConclusion>)
    case status(Ticket<RaftCore.Status>)

    // From the transport.
    case received([Message])
    case receivedAlone(Message)
    case unreachable(NodeID)
    case gone(NodeID)
    case snapshotArrived(Message, Machine.Staged)
    case snapshotSent(to: NodeID, succeeded: Bool)

    // From the log stage.
    case persisted(WriteID)
    case loaded(Message)
    case loadFailed(to: NodeID)

    // From the apply stage.
    case applied(LogIndex)
    case configurationApplied(ConfigurationChange, at: LogIndex)
    case durable(LogIndex)
    case snapshotMade(to: NodeID, SnapshotDescription, any SnapshotSource)
    case installed(WriteID)

    case failed(NodeFailure)
}
