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
    /// By kind, then by member.
    package var alarms: [Alarm]
}

/// Who is in the cluster, and who was.
package struct ReplicaMembership: Hashable, Sendable {
    /// By ascending id.
    package var members: [Member]
    /// By ascending id.
    package var removed: [NodeID]
    package var configuration: Configuration

    package init(members: [Member], removed: [NodeID], configuration: Configuration) {
        self.members = members
        self.removed = removed
        self.configuration = configuration
    }
}

/// What a command in the log came to.
package enum ReplicaResult: Sendable {
    case keyValue(Outcome)
    case membersChanged([Member])
    case lease(LeaseOutcome)
    case alarm(AlarmOutcome)
    /// A change of the configuration was judged by a membership that is not there any more, and was not made.
    case membershipOutdated
}
