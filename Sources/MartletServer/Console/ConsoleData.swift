/// What `GET /console/data` answers: all that a member knows at one moment and that changes from second to second.
/// Counters only grow while a member runs; the page makes rates of them. Ids are in hexadecimal digits, as everywhere
/// that people look.
struct ConsoleData: Codable, Hashable, Sendable {
    /// The member that was asked.
    struct Own: Codable, Hashable, Sendable {
        var id: String
        var role: String
        var term: UInt64
        /// Nil: it knows none.
        var leader: String?
        var commit: UInt64
        var applied: UInt64
        var lastIndex: UInt64
        var revision: Int64
        var compactRevision: Int64
        var leaderChanges: Int
        /// Requests that were taken and not answered yet.
        var pending: Int
        /// Why it has stopped to take part.
        var failure: String?
        var version: String
        var etcdVersion: String
        var uptimeSeconds: Double
    }

    struct Disk: Codable, Hashable, Sendable {
        var sizeBytes: Int
        var inUseBytes: Int
        /// Nil: no limit.
        var quotaBytes: Int?
        /// What the file system of the data directory has left.
        var freeBytes: Int?
    }

    struct Process: Codable, Hashable, Sendable {
        var residentBytes: Int
        var cpuSeconds: Double
        var threads: Int
    }

    /// Calls that have ended, by what they were.
    struct Calls: Codable, Hashable, Sendable {
        var ended: UInt64 = 0
        var failed: UInt64 = 0
    }

    struct Traffic: Codable, Hashable, Sendable {
        var calls: [String: Calls]
        var receivedBytes: UInt64
        var sentBytes: UInt64
        var connections: Int
        var watchers: Int
        var watchMessages: UInt64
    }

    struct Times: Codable, Hashable, Sendable {
        /// Bucket by bucket, the last ones that are zero left out: `b` begins at `(4 + b % 4) << (11 + b / 4)` ns.
        var writes: [UInt64]
        var reads: [UInt64]
        var syncCount: UInt64
        var syncNanoseconds: UInt64
        var lastSyncNanoseconds: UInt64
    }

    struct Peer: Codable, Hashable, Sendable {
        var id: String
        /// Empty until it has started for the first time.
        var name: String
        var peerURLs: [String]
        var clientURLs: [String]
        var isLearner: Bool
        /// How the connection to it stands; nil for the member itself.
        var link: Link?
        /// What the leader knows of its log; nil where the member that was asked does not lead.
        var log: Log?
    }

    struct Link: Codable, Hashable, Sendable {
        var isConnected: Bool
        /// Of the last ping.
        var roundTripNanoseconds: UInt64
    }

    struct Log: Codable, Hashable, Sendable {
        /// The last entry that it is known to have on its disk, and how many entries the leader has after that.
        var match: UInt64
        var lag: UInt64
        /// probe, replicate or snapshot.
        var state: String
        /// Heard of lately.
        var isActive: Bool
    }

    struct RaisedAlarm: Codable, Hashable, Sendable {
        var member: String
        var kind: String
    }

    /// This process's clock when all of this was gathered.
    var atNanoseconds: UInt64
    var clusterID: String
    /// Whether the paths are served that keys and leases, and that services are shown from.
    var hasGateway: Bool
    var hasServices: Bool
    var own: Own
    var disk: Disk
    var process: Process
    var traffic: Traffic
    var times: Times
    /// By ascending id, the member that was asked included.
    var members: [Peer]
    var alarms: [RaisedAlarm]
}
