package import RaftCore
internal import Synchronization

/// What has passed between this member and another since the transport was started.
package struct PeerStatistics: Hashable, Sendable {
    package var node: NodeID
    /// Whether messages can be sent at this moment.
    package var isConnected = false
    /// Since when, on the system's monotonic clock, in nanoseconds.
    package var connectedSince: UInt64?
    package var sentMessages: UInt64 = 0
    /// Frames, with their headers.
    package var sentBytes: UInt64 = 0
    package var receivedMessages: UInt64 = 0
    package var receivedBytes: UInt64 = 0
    /// Messages that were not sent: the queue was full, or there was no connection.
    package var droppedMessages: UInt64 = 0
    /// Connections to the member that came up.
    package var connections: UInt64 = 0
    /// Connections, and attempts to get one, that failed.
    package var failures: UInt64 = 0
    package var snapshotsSent: UInt64 = 0
    package var snapshotsFailed: UInt64 = 0
    package var snapshotsReceived: UInt64 = 0
    package var snapshotsReceivedInPart: UInt64 = 0
    /// How often a snapshot, either way, went on on a new connection.
    package var snapshotsResumed: UInt64 = 0
    package var roundTrips = RoundTrips()

    package init(node: NodeID) { self.node = node }
}

/// Round-trip times of pings, in buckets that double from 0.1 ms, as etcd's `round_trip_time_seconds` has them.
package struct RoundTrips: Hashable, Sendable {
    package static let buckets = 16
    package static let smallestNanoseconds: UInt64 = 100_000
    package private(set) var lastNanoseconds: UInt64 = 0
    package private(set) var sumNanoseconds: UInt64 = 0
    package private(set) var count: UInt64 = 0
    /// Times up to `smallestNanoseconds << position`; what is longer is in `count` only.
    package private(set) var counts = [UInt64](repeating: 0, count: RoundTrips.buckets)

    package init() {}

    package mutating func add(_ nanoseconds: UInt64) {
        lastNanoseconds = nanoseconds
        sumNanoseconds &+= nanoseconds
        count += 1
        if let bucket = counts.indices.first(where: { nanoseconds <= Self.smallestNanoseconds << UInt64($0) }) {
            counts[bucket] += 1
        }
    }
}

package struct TransportStatistics: Hashable, Sendable {
    /// In order of node ids.
    package var peers: [PeerStatistics] = []
    /// Accepted connections that were refused in the handshake.
    package var refusedConnections: UInt64 = 0
    /// Accepted connections that were closed for what came on them.
    package var malformedConnections: UInt64 = 0
    package var acceptedConnections = 0
    package var outgoingSnapshots = 0
    package var incomingSnapshots = 0

    package init() {}
}

/// One member's figures, written from several threads.
final class PeerCounters: Sendable {
    private let figures: Mutex<PeerStatistics>

    init(_ node: NodeID) { figures = Mutex(PeerStatistics(node: node)) }

    func update(_ body: (inout PeerStatistics) -> Void) { figures.withLock { body(&$0) } }

    var snapshot: PeerStatistics { figures.withLock { $0 } }
}
