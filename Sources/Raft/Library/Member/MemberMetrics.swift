import Dispatch
import Metrics
import RaftCore

/// What a member tells swift-metrics, each with its id as the dimension `member`.
struct MemberMetrics: Sendable {
    private let proposals: Counter
    private let proposalsFailed: Counter
    private let proposalSeconds: Metrics.Timer
    private let reads: Counter
    private let readsFailed: Counter
    private let snapshotsTaken: Counter
    private let snapshotsInstalled: Counter
    private let term: Gauge
    private let commit: Gauge
    private let applied: Gauge
    private let isLeader: Gauge
    private let leaderChanges: Gauge
    private let pending: Gauge
    private let lastSyncSeconds: Gauge

    init(id: NodeID) {
        let dimensions = [("member", "\(id.rawValue)")]
        proposals = Counter(label: "raft_proposals_total", dimensions: dimensions)
        proposalsFailed = Counter(label: "raft_proposals_failed_total", dimensions: dimensions)
        proposalSeconds = Metrics.Timer(label: "raft_proposal_duration", dimensions: dimensions)
        reads = Counter(label: "raft_reads_total", dimensions: dimensions)
        readsFailed = Counter(label: "raft_reads_failed_total", dimensions: dimensions)
        snapshotsTaken = Counter(label: "raft_snapshots_taken_total", dimensions: dimensions)
        snapshotsInstalled = Counter(label: "raft_snapshots_installed_total", dimensions: dimensions)
        term = Gauge(label: "raft_term", dimensions: dimensions)
        commit = Gauge(label: "raft_commit_index", dimensions: dimensions)
        applied = Gauge(label: "raft_applied_index", dimensions: dimensions)
        isLeader = Gauge(label: "raft_is_leader", dimensions: dimensions)
        leaderChanges = Gauge(label: "raft_leader_changes", dimensions: dimensions)
        pending = Gauge(label: "raft_pending_requests", dimensions: dimensions)
        lastSyncSeconds = Gauge(label: "raft_log_sync_seconds", dimensions: dimensions)
    }

    func proposed(nanoseconds: UInt64, succeeded: Bool) {
        proposals.increment()
        if !succeeded { proposalsFailed.increment() }
        proposalSeconds.recordNanoseconds(Int64(clamping: nanoseconds))
    }

    func read(succeeded: Bool) {
        reads.increment()
        if !succeeded { readsFailed.increment() }
    }

    func snapshotTaken() { snapshotsTaken.increment() }
    func snapshotInstalled() { snapshotsInstalled.increment() }

    func record(_ status: NodeStatus, pending count: Int, lastSyncNanoseconds: UInt64) {
        term.record(Double(status.term.rawValue))
        commit.record(Double(status.commit.rawValue))
        applied.record(Double(status.applied.rawValue))
        isLeader.record(status.role == .leader ? 1.0 : 0.0)
        leaderChanges.record(Double(status.leaderChanges))
        pending.record(Double(count))
        lastSyncSeconds.record(Double(lastSyncNanoseconds) / 1e9)
    }
}
