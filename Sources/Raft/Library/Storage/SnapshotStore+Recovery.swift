import Platform
import RaftCore

/// A recovery was cut off after its state had been written. Only another run of it can go on.
struct UnfinishedRecovery: Error, Hashable, Sendable {
    /// Whose state it was made of.
    var identity: MemberIdentity
    var snapshot: StoredSnapshot
}

extension SnapshotStore {
    private static let recoveredPrefix = "recovered-"

    private static func recoveredName(_ identity: MemberIdentity) -> String {
        "\(recoveredPrefix)\(identity.clusterID)-\(identity.id.rawValue)"
    }

    private static func identity(ofRecovered name: String) -> MemberIdentity? {
        let parts = name.dropFirst(recoveredPrefix.count).split(separator: "-", omittingEmptySubsequences: false)
        guard name.hasPrefix(recoveredPrefix), parts.count == 2, let cluster = UInt64(parts[0]),
            let id = UInt64(parts[1])
        else { return nil }
        return MemberIdentity(clusterID: cluster, id: NodeID(id))
    }

    /// What a recovery that was cut off has left.
    func unfinishedRecovery() throws -> UnfinishedRecovery? {
        guard fileSystem.exists(directory) else { return nil }
        for name in try fileSystem.list(directory) {
            guard let identity = Self.identity(ofRecovered: name) else { continue }
            let file = try reader(name)
            defer { file.close() }
            let snapshot = StoredSnapshot(head: file.head, isOrigin: true, name: name)
            return UnfinishedRecovery(identity: identity, snapshot: snapshot)
        }
        return nil
    }

    /// Writes down what a new life begins with. From when this returns, and perhaps from before, no member starts here
    /// until ``finishRecovery(_:of:)``.
    func beginRecovery(_ head: SnapshotHead, _ state: StateSnapshot, of old: MemberIdentity) throws {
        try clearAway()
        let name = try writeAside(head, state)
        try fileSystem.rename(path(name), to: path(Self.recoveredName(old)))
        try fileSystem.synchronizeDirectory(directory)
    }

    /// Makes it the origin, when everything else is ready.
    func finishRecovery(_ head: SnapshotHead, of old: MemberIdentity) throws {
        let origin = StoredSnapshot(head: head, isOrigin: true)
        try fileSystem.rename(path(Self.recoveredName(old)), to: path(origin.name))
        try fileSystem.synchronizeDirectory(directory)
        try removeAll(but: origin.name)
    }
}
