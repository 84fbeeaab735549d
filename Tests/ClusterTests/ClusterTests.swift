import Foundation
import Testing

/// Real processes, real kills. Needs a built server, and takes minutes: `scripts/test-cluster` sets both variables.
@Suite(
    .serialized,
    .enabled(
        if: ProcessInfo.processInfo.environment["MARTLET_CLUSTER_TESTS"] == "1",
        "tests with real processes run with MARTLET_CLUSTER_TESTS=1 and MARTLET=<program>: use scripts/test-cluster"))
struct ClusterTests {}
