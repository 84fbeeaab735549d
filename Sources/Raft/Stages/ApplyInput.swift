package import RaftCore

/// What the apply stage is told.
package enum ApplyInput<Machine: NodeMachine>: Sendable {
    /// These proposals of ours are on their way; their entries come later, if they come. All have one deadline.
    case expect([PendingProposal<Machine>], deadline: UInt64)
    /// The leader has not taken these proposals of ours, by their numbers, and nobody will.
    case refused([UInt64], RequestFailure)
    /// Committed entries, in order.
    case apply([Entry])
    /// Answer these reads once everything up to `index` has been applied.
    case read([Ticket<Machine.View>], at: LogIndex, deadline: UInt64)
    case makeSnapshot(for: NodeID)
    /// Replace the state; then tell consensus that the write may go on to the log.
    case install(Machine.Staged, SnapshotDescription, WriteID)
    /// The flusher is done.
    case flushed
    /// Flush what has been applied, whatever is due, and say up to where the state is durable.
    case flush(Ticket<LogIndex>)
    case optionsChanged(NodeOptions)
    case failed(NodeFailure)
}

package struct PendingProposal<Machine: NodeMachine>: Sendable {
    package var sequence: UInt64
    package var ticket: Ticket<Machine.Result>
}
