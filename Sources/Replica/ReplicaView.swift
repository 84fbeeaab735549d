package import MVCC
package import RaftCore

/// The replicated state at one moment, for any thread to read.
package struct ReplicaView: Sendable {
    /// Keys and revisions.
    package var store: ReadView
    /// Members by ascending id.
    package var members: [Member]
    package var configuration: Configuration
    package var clusterID: UInt64
}

/// What a command in the log came to.
package enum ReplicaResult: Sendable {
    case keyValue(Outcome)
    case membersChanged([Member])
    case lease(LeaseOutcome)
}
