import EtcdAPI
import HTTP2
import MVCC
import NIOCore
import NIOPosix
import Raft
import RaftCore
import Replica
import StorageEngine
import Synchronization

/// What the services share: the replica, the limits, and each event loop's open requests.
final class ServiceContext: Sendable {
    let node: RaftNode<KeyValueMachine>
    let memberID: NodeID
    let clusterID: UInt64
    let limits: RequestLimits
    /// For work that would hold up an event loop: hashing the state.
    let workers: NIOThreadPool
    let sizes: StateSizes
    let space: SpaceQuota
    let leaseClock: LeaseClock
    let failures = RequestFailures()
    let timeouts: TimeoutCauses
    /// Of snapshots for clients, over gRPC and HTTP alike.
    let snapshots = SnapshotSlots(max: SnapshotLimits().concurrentMax)
    let times = RequestTimes()
    private let loops: [LoopRequests]

    struct RequestLimits: Sendable {
        var requestBytesMax: Int
        var transactionOperationsMax: Int
        /// nil: no limit.
        var quotaBytes: Int?
    }

    init(
        node: RaftNode<KeyValueMachine>, clusterID: UInt64, limits: RequestLimits, eventLoops: [any EventLoop],
        workers: NIOThreadPool, sizes: StateSizes, leaseClock: LeaseClock, timeouts: TimeoutCauses
    ) {
        self.node = node
        memberID = node.options.id
        self.clusterID = clusterID
        self.limits = limits
        self.workers = workers
        self.sizes = sizes
        space = SpaceQuota(bytesMax: limits.quotaBytes)
        self.leaseClock = leaseClock
        self.timeouts = timeouts
        loops = eventLoops.map { [failures, times] in
            LoopRequests(
                eventLoop: $0, node: node, leaseClock: leaseClock, failures: failures, timeouts: timeouts,
                times: times)
        }
    }

    func requests(on eventLoop: any EventLoop) -> LoopRequests {
        for loop in loops where loop.eventLoop === eventLoop { return loop }
        preconditionFailure("a call on an event loop that is not the server's")
    }

    /// The server stops: whoever still waits for the replica is told so.
    func refuseWaiting() {
        for loop in loops { loop.eventLoop.execute { loop.refuseWaiting() } }
    }

    func header(revision: Int64) -> WireHeader {
        WireHeader(
            clusterID: clusterID, memberID: memberID.rawValue, revision: revision,
            raftTerm: node.published.term.load(ordering: .relaxed))
    }

    /// A header as the calls have it that are not about keys: without a revision (K22).
    var headerWithoutRevision: WireHeader { header(revision: 0) }
}

/// How many requests the replica did not answer with a result.
final class RequestFailures: Sendable {
    let proposals = Atomic<UInt64>(0)
    let reads = Atomic<UInt64>(0)
}

/// How large the state is, as of the last look.
final class StateSizes: Sendable {
    private let look: @Sendable () -> (total: Int, inUse: Int)
    /// What waits to get there.
    let growth: GrowthMeter

    init(growth: GrowthMeter, _ look: @escaping @Sendable () -> (total: Int, inUse: Int)) {
        self.growth = growth
        self.look = look
    }

    /// What the engine has in use.
    var engineInUse: Int { look().inUse }

    /// What clients are told: what waits for the engine is part of the state, and has its room on the disk in the log
    /// meanwhile. At the very end of a flush its batch is counted twice.
    var told: (total: Int, inUse: Int) {
        let growth = growth.reading
        let engine = look()
        let inUse = engine.inUse + growth.waitingBytes + growth.flushingBytes
        return (max(engine.total, inUse), inUse)
    }
}

extension GRPCStatus {
    static func undecodable(_ error: any Error) -> GRPCStatus {
        GRPCStatus(.internalError, "grpc: error unmarshalling request: \(error)")
    }
}

/// Encodes straight into a network buffer.
struct BufferOutput: WireOutput {
    var buffer: ByteBuffer

    mutating func append(byte: UInt8) { buffer.writeInteger(byte) }
    mutating func append(raw: UnsafeRawBufferPointer) { buffer.writeBytes(raw) }
    mutating func reserve(_ count: Int) { buffer.reserveCapacity(minimumWritableBytes: count) }
}
