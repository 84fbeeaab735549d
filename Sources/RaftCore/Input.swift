/// Everything that can happen to a core.
public enum Input: Sendable {
    /// One tick of the caller's clock has passed.
    case tick
    /// A message addressed to this node. Its cluster was checked by the transport.
    case received(Message)
    /// Local proposals, in order: one write, and one message to each peer, for all of them. They are taken from the
    /// front as far as they fit; what was left over is told by ``Effect/proposalsRefused(count:reason:)``.
    case propose([Proposal])
    /// A linearizable read wants its index: answered by ``Effect/readReady(_:at:)`` or
    /// ``Effect/readRefused(_:reason:)``,
    /// or, when a message is lost, never: the caller keeps the deadline and asks again with a new id.
    case read(ReadID)
    /// Several reads that share one round of heartbeats.
    case readMany([ReadID])
    /// The write, and every write before it, is durable.
    case persisted(WriteID)
    /// The state machine has applied everything up to here.
    case applied(LogIndex)
    /// A committed configuration entry was applied. The core changes its configuration now, as etcd's does, not when
    /// the entry is appended (see Divergences). `at` is the entry's index; with it, a change that a snapshot has
    /// overtaken in the meantime is passed over. ``applied(_:)`` follows.
    case configurationApplied(ConfigurationChange, at: LogIndex? = nil)
    /// The log no longer starts before `index`+1: the state up to `index` is durable elsewhere.
    case compacted(upTo: LogIndex)
    case campaign
    case transferLeadership(to: NodeID)
    case forgetLeader
    /// The transport could not deliver to that node.
    case unreachable(NodeID)
    /// The snapshot sent to that node has arrived, or has failed.
    case snapshotFinished(NodeID, succeeded: Bool)
}
