@_exported public import struct RaftCore.LogIndex
@_exported public import struct RaftCore.NodeID
@_exported public import struct RaftCore.Term

/// One participant of a cluster, as the others know it.
public struct RaftPeer: Hashable, Sendable {
    public enum Role: UInt8, Sendable {
        /// Votes, and counts in quorums.
        case voter = 0
        /// Gets every entry, and does not count: a member that is catching up, or a copy for reading.
        case learner = 1
    }

    /// Never 0. A number belongs to one member for good: a new machine in an old one's place gets a new number.
    public var id: NodeID
    /// Where the others reach it; for TCP, `host:port`. Other transports may give it another meaning, or none.
    public var address: String
    public var role: Role

    public init(id: NodeID, address: String = "", role: Role = .voter) {
        self.id = id
        self.address = address
        self.role = role
    }
}
