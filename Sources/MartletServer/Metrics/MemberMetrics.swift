import EtcdAPI
import MVCC
import Raft
import RaftCore
import Replica
import Synchronization

/// `etcd_server_*`, `etcd_mvcc_*` and `etcd_disk_*` of this member: what the node publishes, and the engine's size.
enum MemberMetrics {
    static func families(
        _ context: ServiceContext, health: HealthCounts, alarms: @escaping @Sendable () -> [ActiveAlarm]
    ) -> [MetricFamily] {
        server(context) + storage(context) + Self.health(health) + [
            MetricFamily(
                .gauge, "etcd_debugging_server_alarms", "Alarms that are raised, by member and kind.",
                samples: {
                    alarms().map {
                        .init([("server_id", hex($0.member)), ("alarm_type", $0.kind.rawValue)], 1)
                    }
                })
        ]
    }

    private static func server(_ context: ServiceContext) -> [MetricFamily] {
        let published = context.node.published
        return [
            MetricFamily(
                .gauge, "etcd_server_has_leader", "Whether or not a leader exists. 1 is existence, 0 is not."
            ) { published.status.leader == nil ? 0 : 1 },
            MetricFamily(
                .gauge, "etcd_server_is_leader", "Whether or not this member is a leader. 1 if is, 0 otherwise."
            ) { published.status.role == .leader ? 1 : 0 },
            MetricFamily(
                .gauge, "etcd_server_is_learner", "Whether or not this member is a learner. 1 if is, 0 otherwise."
            ) { published.status.isLearner ? 1 : 0 },
            MetricFamily(
                .counter, "etcd_server_leader_changes_seen_total", "The number of leader changes seen."
            ) { Double(published.status.leaderChanges) },
            MetricFamily(
                .gauge, "etcd_server_proposals_committed_total", "The total number of consensus proposals committed."
            ) { Double(published.status.commit.rawValue) },
            MetricFamily(
                .gauge, "etcd_server_proposals_applied_total", "The total number of consensus proposals applied."
            ) { Double(published.view.store.applied.index) },
            MetricFamily(
                .gauge, "etcd_server_proposals_pending", "The current number of pending proposals to commit."
            ) { Double(max(0, published.pendingProposals.load(ordering: .relaxed))) },
            MetricFamily(
                .counter, "etcd_server_proposals_failed_total", "The total number of failed proposals seen."
            ) { Double(context.failures.proposals.load(ordering: .relaxed)) },
            MetricFamily(
                .counter, "etcd_server_read_indexes_failed_total", "The total number of failed read indexes seen."
            ) { Double(context.failures.reads.load(ordering: .relaxed)) },
            MetricFamily(
                .gauge, "etcd_server_quota_backend_bytes", "Current backend storage quota size in bytes."
            ) {
                // Without a limit nothing is ever near it: alerts divide the size by this.
                context.limits.quotaBytes.map(Double.init) ?? .infinity
            },
            MetricFamily(
                .gauge, "etcd_server_version",
                "Which version is running. 1 for 'server_version' label with current version.",
                samples: { [.init([("server_version", MaintenanceService.etcdVersion)], 1)] }),
            MetricFamily(
                .gauge, "etcd_cluster_version",
                "Which version is running. 1 for 'cluster_version' label with current cluster version.",
                samples: {
                    [.init([("cluster_version", String(MaintenanceService.etcdClusterVersion.dropLast(2)))], 1)]
                }),
            MetricFamily(
                .gauge, "etcd_server_id",
                "Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.",
                samples: { [.init([("server_id", hex(context.memberID.rawValue))], 1)] }),
            MetricFamily(
                .gauge, "martlet_version", "Which version of Martlet is running.",
                samples: { [.init([("version", MartletVersion.martlet)], 1)] }),
        ]
    }

    private static func storage(_ context: ServiceContext) -> [MetricFamily] {
        let published = context.node.published
        return [
            MetricFamily(
                .gauge, "etcd_mvcc_db_total_size_in_bytes",
                "Total size of the underlying database physically allocated in bytes."
            ) { Double(context.sizes.told.total) },
            MetricFamily(
                .gauge, "etcd_mvcc_db_total_size_in_use_in_bytes",
                "Total size of the underlying database logically in use in bytes."
            ) { Double(context.sizes.told.inUse) },
            MetricFamily(
                .gauge, "etcd_debugging_mvcc_current_revision", "The current revision of store."
            ) { Double(published.view.store.revision.rawValue) },
            MetricFamily(
                .gauge, "etcd_debugging_mvcc_compact_revision", "The revision of the last compaction in store."
            ) { Double(published.view.store.compactRevision.rawValue) },
            MetricFamily(
                .histogram, "etcd_disk_wal_fsync_duration_seconds",
                "The latency distributions of fsync called by WAL.",
                samples: { [.init([], HistogramValue(published.logSyncs))] }),
            MetricFamily(
                .histogram, "etcd_disk_backend_commit_duration_seconds",
                "The latency distributions of commit called by backend.",
                samples: { [.init([], HistogramValue(published.engineCommits))] }),
        ]
    }

    private static func health(_ counts: HealthCounts) -> [MetricFamily] {
        [
            MetricFamily(.counter, "etcd_server_health_success", "The total number of successful health checks.") {
                Double(counts.figures.healthSuccesses)
            },
            MetricFamily(.counter, "etcd_server_health_failures", "The total number of failed health checks.") {
                Double(counts.figures.healthFailures)
            },
            MetricFamily(
                .gauge, "etcd_server_healthcheck", "The result of each kind of healthcheck.",
                samples: {
                    sorted(counts).map { line, outcomes in
                        .init(labels(line), outcomes.lastSucceeded ? 1 : 0)
                    }
                }),
            MetricFamily(
                .counter, "etcd_server_healthchecks_total", "The total number of each kind of healthcheck.",
                samples: {
                    sorted(counts).flatMap { line, outcomes in
                        [
                            .init(labels(line) + [("status", "error")], Double(outcomes.failures)),
                            .init(labels(line) + [("status", "success")], Double(outcomes.successes)),
                        ]
                    }
                }),
        ]
    }

    private static func sorted(_ counts: HealthCounts) -> [(HealthCounts.Line, HealthCounts.Outcomes)] {
        counts.figures.checks.sorted {
            ($0.key.group.rawValue, $0.key.check.rawValue) < ($1.key.group.rawValue, $1.key.check.rawValue)
        }.map { ($0.key, $0.value) }
    }

    private static func labels(_ line: HealthCounts.Line) -> MetricFamily.Labels {
        [("name", line.check.rawValue), ("type", line.group.rawValue)]
    }
}
