package import RaftCore
package import Synchronization

/// Where a node stands, as of its last batch.
package struct NodeStatus: Hashable, Sendable {
    package var id: NodeID
    package var role = RoleName.follower
    package var term = Term.zero
    package var leader: NodeID?
    package var commit = LogIndex.zero
    package var applied = LogIndex.zero
    package var lastIndex = LogIndex.zero
    package var isLearner = false
    /// It is to join a cluster, and has heard nothing of it yet.
    package var isJoining = false
    package var failure: NodeFailure?
    /// How often a leader was found, since the start.
    package var leaderChanges = 0

    package init(id: NodeID) { self.id = id }
}

/// What other threads may know of a node at any time: its status and its state's newest view.
package final class PublishedState<View: Sendable>: Sendable {
    private let statusBox: Mutex<NodeStatus>
    private let viewBox: Mutex<ViewAndIndex>

    private struct ViewAndIndex: Sendable {
        var view: View
        var applied: LogIndex
    }

    /// The current term, for those who need nothing else.
    package let term = Atomic<UInt64>(0)
    /// Whether the node is a voter (or nothing any more): learners, and those that are joining, serve little.
    package let isFull = Atomic<Bool>(false)
    /// How long the log's last fdatasync took, in nanoseconds.
    package let lastSyncNanoseconds = Atomic<UInt64>(0)
    /// How long the log's fdatasyncs took: buckets from 1 ms to 8 s, as etcd's `wal_fsync_duration_seconds` has them.
    package let logSyncs = DurationHistogram(firstNanoseconds: 1_000_000, bucketCount: 14)
    /// How long the engine's commits took, in the same buckets.
    package let engineCommits = DurationHistogram(firstNanoseconds: 1_000_000, bucketCount: 14)
    /// Requests that were taken and not answered yet.
    package let pendingProposals = Atomic<Int>(0)

    private let leaderChanged: LeaderObserver?

    /// Told of each new leader, or that there is none any more: who it was, and what is known now.
    package typealias LeaderObserver = @Sendable (_ before: NodeID?, _ now: NodeStatus, _ view: View) -> Void

    package init(status: NodeStatus, view: View, applied: LogIndex, leaderChanged: LeaderObserver? = nil) {
        self.leaderChanged = leaderChanged
        statusBox = Mutex(status)
        isFull.store(!status.isLearner && !status.isJoining, ordering: .relaxed)
        term.store(status.term.rawValue, ordering: .relaxed)
        viewBox = Mutex(ViewAndIndex(view: view, applied: applied))
    }

    package var status: NodeStatus { statusBox.withLock { $0 } }
    /// The newest published state: what a serializable read sees.
    package var view: View { viewBox.withLock { $0.view } }

    package func view(ifAppliedUpTo index: LogIndex) -> View? {
        viewBox.withLock { $0.applied >= index ? $0.view : nil }
    }

    func publish(_ view: View, applied: LogIndex) {
        viewBox.withLock { box in
            box.view = view
            box.applied = applied
        }
    }

    func update(_ change: (inout NodeStatus) -> Void) {
        let (newTerm, before, isNews) = statusBox.withLock { status in
            let (leader, term) = (status.leader, status.term)
            change(&status)
            isFull.store(!status.isLearner && !status.isJoining, ordering: .relaxed)
            let isNews = status.leader != leader || status.leader != nil && status.term != term
            return (status.term.rawValue, leader, isNews)
        }
        term.store(newTerm, ordering: .relaxed)
        if isNews, let leaderChanged { leaderChanged(before, status, view) }
    }
}
