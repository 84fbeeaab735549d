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
    /// Entries before this index are not in memory any more, so that the caller needs a while to read them. Members
    /// that need such get them page by page (``RaftCore/Options/maxMessageBytes``), one page at a time, each to be
    /// confirmed by ``pageSent(to:)``; all others go on meanwhile. Grows only. A caller that never says it reads as it
    /// likes.
    case cold(before: LogIndex)
    /// The entries before ``cold(before:)`` that were asked for by ``Effect/sendEntries(_:first:end:)`` are on their
    /// way. Where they could not be read, ``unreachable(_:)`` is said instead: one of the two always.
    case pageSent(to: NodeID)
    case campaign
    /// Leadership goes to that voter, or to the best one if none is named: the most preferred
    /// (``RaftCore/Options/priorities``) of those that have everything committed. How it goes is told by
    /// ``Effect/transferRefused(to:reason:)`` and ``Effect/transferEnded(to:outcome:)``. A follower passes it on to the
    /// leader, and hears of it by ``Effect/forwardAnswered(_:)``, where the leader's caller answers, and by who leads.
    case transferLeadership(to: NodeID?)
    case forgetLeader
    /// Other options from now on. ``RaftCore/Options/inconsistency(replacing:)`` is nil, or the process stops.
    case optionsChanged(RaftCore.Options)
    /// The transport could not deliver to that node, or the entries for it could not be read.
    case unreachable(NodeID)
    /// Nobody listens any more where that node did: its process has ended, as far as the transport can tell. If it led,
    /// and more than a heartbeat is missed as well, this node campaigns without waiting for an election timeout. Said
    /// wrongly it does no harm: voters that hear the leader refuse a pre-vote. So it is passed over where there are no
    /// pre-votes, where ``RaftCore/Options/checkQuorum`` is off, and where reads rest on leases.
    case gone(NodeID)
    /// The snapshot sent to that node has arrived, or has failed.
    case snapshotFinished(NodeID, succeeded: Bool)
}
