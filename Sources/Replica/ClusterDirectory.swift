import ByteCodec
import MVCC
import Raft
import RaftCore

/// What the state keeps of the cluster, beside the keys: rows of the table `meta`.
///
/// | key | value |
/// |---|---|
/// | `cluster` | cluster id u64 |
/// | `origin` | index u64, term u64: where this member's state was born |
/// | `configuration` | an encoded `RaftCore.Configuration` |
/// | `member/` and the id, big-endian | an encoded ``Member`` |
/// | `removed/` and the id, big-endian | one zero byte: that member was removed |
/// | `restored` | an encoded ``Restoration``: of what snapshot the cluster was made |
struct ClusterDirectory {
    var clusterID: UInt64
    var members: [Member]
    /// By ascending id.
    var removed: [NodeID] = []
    var origin: AppliedPlace
    var configuration: Configuration

    static let clusterKey: MetaName = "cluster"
    static let originKey: MetaName = "origin"
    static let configurationKey: MetaName = "configuration"
    static let memberPrefix: MetaName = "member/"
    static let removedPrefix: MetaName = "removed/"
    static let restoredKey: MetaName = "restored"

    init(clusterID: UInt64, members: [Member], origin: AppliedPlace, configuration: Configuration) {
        self.clusterID = clusterID
        self.members = members
        self.origin = origin
        self.configuration = configuration
    }

    /// nil if the state belongs to no cluster yet.
    init?(reading state: State) throws {
        guard let cluster = try state.meta(Self.clusterKey) else {
            // A row that has lost its name is not found: what belongs to a cluster must not pass for new.
            guard state.applied == .zero, state.revision == .first, try state.metas(prefix: "").isEmpty else {
                throw NodeFailure(part: .stateMachine, reason: "the state does not say which cluster it belongs to")
            }
            return nil
        }
        guard let origin = try state.meta(Self.originKey), let configuration = try state.meta(Self.configurationKey)
        else {
            throw NodeFailure(part: .stateMachine, reason: "the state's description of its cluster is incomplete")
        }
        do {
            clusterID = try cluster.withUnsafeBytes { bytes in
                var reader = ByteReader(bytes)
                return try reader.readUInt64()
            }
            self.origin = try Self.decodeOrigin(origin)
            self.configuration = try Configuration(decoding: configuration)
            members = try state.metas(prefix: Self.memberPrefix).map { name, value in
                let member = try value.withUnsafeBytes { try Member(decoding: $0) }
                guard name == Self.memberKey(member.id) else {
                    throw DecodingError.invalid("member \(member.id.rawValue) under another's name")
                }
                return member
            }
            removed = try state.metas(prefix: Self.removedPrefix).map { name, _ in
                try Array(name.bytes.dropFirst(Self.removedPrefix.bytes.count)).withUnsafeBytes { bytes in
                    var reader = ByteReader(bytes)
                    let id = NodeID(try reader.readUInt64BigEndian())
                    try reader.expectEnd()
                    return id
                }
            }
        } catch {
            throw NodeFailure(
                part: .stateMachine, reason: "the state's description of its cluster is damaged: \(error)")
        }
        members.sort { $0.id < $1.id }
        removed.sort()
        guard members.map(\.id) == self.configuration.members else {
            throw NodeFailure(
                part: .stateMachine,
                reason: "the state knows members \(members.map(\.id.rawValue)), and a configuration of "
                    + "\(self.configuration.members.map(\.rawValue)): rows are missing or damaged")
        }
    }

    func write(to state: inout State) throws(StateError) {
        var writer = ByteWriter()
        writer.write(clusterID)
        try state.setMeta(Self.clusterKey, writer.finish())
        try state.setMeta(Self.originKey, Self.encode(origin: origin))
        try Self.write(configuration, to: &state)
        for member in members { try Self.write(member, to: &state) }
    }

    static func write(_ configuration: Configuration, to state: inout State) throws(StateError) {
        try state.setMeta(configurationKey, configuration.encode())
    }

    static func memberKey(_ id: NodeID) -> MetaName { key(memberPrefix, id) }

    private static func key(_ prefix: MetaName, _ id: NodeID) -> MetaName {
        var writer = ByteWriter()
        writer.write(prefix.bytes)
        writer.writeBigEndian(id.rawValue)
        return MetaName(bytes: writer.finish())
    }

    static func write(_ member: Member, to state: inout State) throws(StateError) {
        try state.setMeta(memberKey(member.id), member.encode())
    }

    static func remove(_ id: NodeID, from state: inout State) throws(StateError) {
        try state.setMeta(memberKey(id), nil)
        try state.setMeta(key(removedPrefix, id), [0])
    }

    /// Who was removed is a member again.
    static func welcomeBack(_ id: NodeID, to state: inout State) throws(StateError) {
        try state.setMeta(key(removedPrefix, id), nil)
    }

    /// Whether a row speaks of this cluster and its members, and so of no other that is made of its state. Alarms are
    /// raised by members, and are theirs.
    static func isOfTheClusterAlone(rowKey: UnsafeRawBufferPointer) -> Bool {
        [clusterKey, originKey, configurationKey, restoredKey, AlarmDirectory.rowName]
            .contains { rowKey.elementsEqual($0.rowKey) }
            || [memberPrefix, removedPrefix].contains { rowKey.starts(with: $0.rowKey) }
    }

    static func encode(origin: AppliedPlace) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(origin.index.rawValue)
        writer.write(origin.term.rawValue)
        return writer.finish()
    }

    static func decodeOrigin(_ bytes: [UInt8]) throws -> AppliedPlace {
        try bytes.withUnsafeBytes { raw in
            var reader = ByteReader(raw)
            return AppliedPlace(index: LogIndex(try reader.readUInt64()), term: Term(try reader.readUInt64()))
        }
    }
}
