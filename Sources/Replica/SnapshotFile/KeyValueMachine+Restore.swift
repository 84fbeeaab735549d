import ByteCodec
import MVCC
import PeerTransport
import Raft
import RaftCore
import StorageEngine

/// Who the members of a cluster are that is made of a snapshot, and how far its revisions move on.
package struct RestorePlan: Sendable {
    package var initialClusterID: UInt64
    package var members: [Member]
    package var bump: Int64

    package init(initialClusterID: UInt64, members: [Member], bump: Int64) {
        self.initialClusterID = initialClusterID
        self.members = members
        self.bump = bump
    }
}

extension KeyValueMachine {
    /// Rows are committed in batches of about this size.
    private static let restoreBatchBytes = 16 << 20

    /// Writes the first state of a new cluster, made of a snapshot, and makes it durable: the same bytes on all members
    /// that are restored from the same file by the same plan. It takes the place that an empty first state has in a
    /// cluster that is made anew (``bootstrap(engines:clusterID:members:)``).
    ///
    /// What the snapshot says of the old cluster stays behind: members, configuration, and what its members had raised.
    package static func restore(
        _ reader: SnapshotFileReader, by plan: RestorePlan, engines: any EngineProvider
    ) throws -> Restoration {
        let engine = try engines.openCurrent()
        defer { engine.close() }
        guard try ClusterDirectory(reading: State(store: LayeredStore(engine: engine))) == nil else {
            throw NodeFailure(part: .stateMachine, reason: "the state is already part of a cluster")
        }
        var batch: [Mutation] = []
        var batchBytes = 0
        let content = try reader.forEachRow { table, key, value in
            if table == .meta, ClusterDirectory.isOfTheClusterAlone(rowKey: key) { return }
            batch.append(.put(table, key: Array(key), value: Array(value)))
            batchBytes += key.count + value.count
            guard batchBytes >= restoreBatchBytes else { return }
            try engine.commit(batch)
            batch.removeAll(keepingCapacity: true)
            batchBytes = 0
        }
        try engine.commit(batch)

        var state = try State(store: LayeredStore(engine: engine))
        guard state.revision == reader.header.revision, state.applied == reader.header.applied else {
            throw NodeFailure(part: .snapshot, reason: "its rows and its header do not speak of the same moment")
        }
        // What was damaged where it was taken is not passed on.
        try state.check()
        let restoration = Restoration(
            initialClusterID: plan.initialClusterID, formerClusterID: reader.header.clusterID,
            revision: state.revision, bump: plan.bump, digest: content.digest)
        // As when a cluster is made anew: before the log's first entry is a place that no member holds an entry for.
        let place = AppliedPlace(index: LogIndex(1), term: Term(1))
        try state.beginAnew(at: LogPosition(place), movingRevisionsBy: plan.bump)
        let directory = ClusterDirectory(
            clusterID: restoration.clusterID, members: plan.members.sorted { $0.id < $1.id }, origin: place,
            configuration: Configuration(voters: plan.members.map(\.id)))
        try directory.write(to: &state)
        try state.setMeta(ClusterDirectory.restoredKey, restoration.encode())
        if let layer = try state.freeze() {
            try layer.commit(to: engine)
            try state.retire()
        }
        return restoration
    }

    /// Of what snapshot this cluster was made; nil where it began empty.
    package var restoration: Restoration? {
        get throws {
            guard let row = try view.store.meta(ClusterDirectory.restoredKey) else { return nil }
            return try Restoration(decoding: row)
        }
    }
}
