import RaftCore

/// Who a log belongs to: a member of a cluster. Another one's is not opened.
struct MemberIdentity: Hashable, Sendable {
    var clusterID: UInt64
    var id: NodeID

    init(clusterID: UInt64, id: NodeID) {
        self.clusterID = clusterID
        self.id = id
    }

    init(clusterName: String, id: NodeID) {
        self.init(clusterID: Self.clusterID(ofName: clusterName), id: id)
    }

    /// FNV-1a of the name: what members tell each other, and what their logs are marked with.
    static func clusterID(ofName name: String) -> UInt64 {
        name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    /// As the log is marked with it.
    var bytes: [UInt8] {
        withUnsafeBytes(of: (clusterID.littleEndian, id.rawValue.littleEndian)) { Array($0) }
    }
}
