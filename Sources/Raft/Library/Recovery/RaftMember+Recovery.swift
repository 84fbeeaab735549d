public import Logging
import Platform
public import RaftCore
import WriteAheadLog

extension RaftMember {
    /// Makes what **one** member has the beginning of a new cluster, after a majority of the old one is lost for good.
    ///
    /// While a majority can come back, wait for it: nothing else keeps the promises of <doc:Guarantees>. Where it
    /// cannot, look at what those that are left have (``RaftLog/inspect(as:clusterName:)``), choose the one that has
    /// the most, and recover it, while it is stopped:
    ///
    ///     try await RaftMember.recover(
    ///         id: 3, log: .directory("counter-3"), stateMachine: Counter(),
    ///         members: [RaftPeer(id: 3, address: "10.0.0.3:7000")], clusterName: "counter",
    ///         newClusterName: "counter-2")
    ///
    /// Then start it with that directory and the new name in ``RaftOptions/clusterName``. All others, those that are
    /// left of the old cluster too, join it with empty directories. Never recover a second one: each would be a cluster
    /// of its own, and nothing tells the two apart but what they hold.
    ///
    /// It is **lossy, in either direction**. The newest snapshot is restored and the whole log applied to it. What was
    /// acknowledged and had not come to this member is lost. And what is in its log and was never acknowledged takes
    /// effect now, though its caller has perhaps seen another command take its place.
    ///
    /// Commands that the state machine rejects (``CommandRejected``) change nothing, as ever. Any other error that it
    /// throws ends the recovery, with nothing changed.
    ///
    /// The new life begins behind the log's last index and in a later term than any that the member has heard of, so
    /// that indexes never go back and no vote of before can count. The new name keeps members of the old cluster away,
    /// should any come back: over TCP and by a transport of one's own nobody speaks with them. Which directories the
    /// other members ran on is forgotten, so that their ids can be used again, with empty ones; this one counts as new.
    ///
    /// A power cut in the midst leaves a member of the old cluster or one of the new cluster, or else one that does not
    /// start (``RaftError/recoveryUnfinished(_:)``) before the recovery has been run once more. It can be run again at
    /// any time until the member is started: with the same list of members nothing changes.
    ///
    /// - Parameters:
    ///   - id: the member's, which it keeps.
    ///   - log: where the member has kept its log and its snapshots.
    ///   - stateMachine: in its first state, as ``init(id:cluster:log:transport:stateMachine:options:logger:)`` gets
    ///     it.
    ///   - members: the new cluster's, this one as a voter among them: usually it alone, and the others are added when
    ///     it runs. Others that are listed here must be started with ``ClusterStart/join(_:)`` and empty directories,
    ///     and a majority of them has to be there before anything can be done. Started as ``ClusterStart/new(_:)`` they
    ///     would be a second cluster that has nothing.
    ///   - clusterName: the old cluster's.
    ///   - newClusterName: the new cluster's.
    ///   - logger: gets what was found and what was made.
    /// - Returns: the index at which the new life begins. No entry is at it.
    /// - Throws: ``RaftError/recoveryRefused(_:)``, ``RaftError/directoryInUse(_:)``,
    ///   ``RaftError/foreignDirectory(_:)``, ``RaftError/damagedDirectory(_:reason:)``,
    ///   ``RaftError/cannotOpen(_:reason:)``; ``RaftError/failed(_:)`` where the state machine could not go on.
    @discardableResult
    public static func recover(
        id: NodeID, log: RaftLog, stateMachine: sending Machine, members: [RaftPeer], clusterName: String,
        newClusterName: String, logger: Logger = Logger(label: "raft", factory: { _ in SwiftLogNoOpLogHandler() })
    ) async throws(RaftError) -> LogIndex {
        let recovery = Recovery(
            old: MemberIdentity(clusterName: clusterName, id: id),
            new: MemberIdentity(clusterName: newClusterName, id: id),
            members: members.sorted { $0.id < $1.id })
        if let refusal = recovery.refusal { throw .recoveryRefused(refusal) }
        if newClusterName.isEmpty || recovery.old == recovery.new {
            throw .recoveryRefused(.clusterNameIsNotNew(newClusterName))
        }
        let box = StateBox(stateMachine)
        var logger = logger
        logger[metadataKey: "member"] = "\(id)"
        return try await onOwnThread { [logger] () throws(RaftError) in
            try log.locked { (place) throws(RaftError) in
                do {
                    return try recovery.run(with: box, in: place, logger)
                } catch {
                    throw RaftError(opening: place.root, error)
                }
            }
        }
    }
}
