public import RaftCore

/// What a member that does not run has in its directory (``RaftLog/inspect(as:clusterName:)``).
public struct RecoverableState: Hashable, Sendable {
    public var id: NodeID
    /// The newest snapshot: its last entry.
    public var snapshotIndex: LogIndex
    public var snapshotTerm: Term
    /// The log's last entry. Whether the last ones were ever acknowledged cannot be seen from one member.
    public var lastIndex: LogIndex
    public var lastTerm: Term
    /// The last term that the member has heard of.
    public var term: Term
    /// Everything up to here is known to be committed. It may be more: members write this down now and then.
    public var commit: LogIndex
    /// The members of the cluster, as of the log's end.
    public var members: [RaftPeer]
    /// A recovery was cut off. It has to be run again, and the members that it is given count.
    public var isRecoveryUnfinished: Bool

    /// Whether this member has more of what the cluster has acknowledged than another one, or as much: its last entry
    /// is of a later term, or of the same one and not before the other's. (It is not enough to compare the indexes: a
    /// long log of an older term may hold what was never acknowledged.)
    public func hasAsMuch(as other: RecoverableState) -> Bool {
        (lastTerm, lastIndex) >= (other.lastTerm, other.lastIndex)
    }
}

extension RaftLog {
    /// Looks at what a member that does not run has, to choose the one to recover: the one that has the most
    /// (``RecoverableState/hasAsMuch(as:)``). All of it is read and checked, and nothing is changed.
    ///
    /// - Parameters:
    ///   - id: whose log it is.
    ///   - clusterName: the cluster's, as in ``RaftOptions/clusterName``.
    /// - Throws: ``RaftError/recoveryRefused(_:)`` where there is nothing, ``RaftError/directoryInUse(_:)``,
    ///   ``RaftError/foreignDirectory(_:)``, ``RaftError/damagedDirectory(_:reason:)``,
    ///   ``RaftError/cannotOpen(_:reason:)``.
    public func inspect(as id: NodeID, clusterName: String) async throws(RaftError) -> RecoverableState {
        try await onOwnThread { () throws(RaftError) in
            try locked { (place) throws(RaftError) in
                do {
                    return try PreviousLife(
                        of: StateBox(UnreadState()), in: place,
                        identity: MemberIdentity(clusterName: clusterName, id: id)
                    ).found
                } catch {
                    throw RaftError(opening: place.root, error)
                }
            }
        }
    }
}

/// In the place of a user's state machine where only the bytes are to be checked.
struct UnreadState: StateMachine {
    mutating func apply(_ command: [UInt8], at index: LogIndex) {}
    func snapshot() -> StateSnapshot { StateSnapshot([]) }

    mutating func restore(from snapshot: SnapshotReader) throws {
        while try !snapshot.read(upTo: SnapshotFormat.blockBytesMax).isEmpty {}
    }
}
