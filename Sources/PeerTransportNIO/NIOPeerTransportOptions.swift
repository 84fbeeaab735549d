package import NIOCore
package import PeerTransport
package import RaftCore

/// What a member's transport is told when it is made.
package struct NIOPeerTransportOptions: Sendable {
    /// This member.
    package var node: NodeID
    /// The cluster's id: members of another cluster are refused.
    package var cluster: UInt64
    /// `host:port` pairs to listen on; port 0 takes any free one.
    package var listenAddresses: [String]
    /// Sockets that listen already, in the place of ``listenAddresses``: whoever has them knows before the transport
    /// starts that no port is in use. The transport closes them.
    package var listeningSockets: [Int32] = []
    /// Seeds the jitter of reconnecting. Members should not share it.
    package var seed: UInt64
    package var limits = PeerTransportLimits()
    package var timings = PeerTransportTimings()
    package var wire = PeerWireLimits()
    /// The protocol versions to offer. For tests of members of different versions.
    package var versions = PeerFrame.versions
    package var features: PeerFeatures = [.forwardAnswers, .resumableSnapshots, .compressedSnapshots]
    /// Who may connect besides those given to ``PeerTransport/setPeers(_:)``. Called on event loops; must not block.
    package var isKnown: (@Sendable (NodeID) -> Bool)?
    /// The data directory that this member runs on.
    package var directory = DirectoryID(0)
    /// What to make of the directory that another member names. Called on event loops, in each handshake; may block
    /// for the disk when a member is met for the first time. nil recognises all.
    package var recognise: (@Sendable (NodeID, DirectoryID) -> DirectoryRecognition)?
    /// Called when another member refuses this one, since it knows it with another directory: this one has lost its
    /// memory and must not go on.
    package var disowned: (@Sendable (_ by: NodeID) -> Void)?
    /// Who was a member and was removed: it is told so, in place of being unknown. Called on event loops; must not
    /// block.
    package var isRemoved: (@Sendable (NodeID) -> Bool)?
    /// Called when another member says that this one was removed.
    package var removed: (@Sendable (_ by: NodeID) -> Void)?
    /// Sets up an accepted connection on which the first bytes are "GET ", on its event loop: puts handlers for
    /// HTTP/1.1 at the pipeline's end. nil: such a connection is closed, as others that begin in another way than a
    /// member's.
    ///
    /// The transport bounds it: it counts as an accepted connection, may send
    /// ``PeerTransportLimits/httpRequestBytes``, and ends with ``PeerTransportTimings/handshakeTimeout``, whatever was
    /// answered by then.
    package var configureHTTP: (@Sendable (any Channel) throws -> Void)?
    package var log: PeerTransportLog
    /// Called on the event loop for each new connection, before the transport adds its own handler: the place for TLS
    /// handlers, which go into the (still empty) pipeline.
    package var configureChannel: (@Sendable (any Channel, ConnectionSide) throws -> Void)?

    package init(
        node: NodeID, cluster: UInt64, listenAddresses: [String], seed: UInt64,
        log: @escaping PeerTransportLog = { _, _, _ in }
    ) {
        self.node = node
        self.cluster = cluster
        self.listenAddresses = listenAddresses
        self.seed = seed
        self.log = log
    }
}

/// Level, message, and what belongs to it.
package typealias PeerTransportLog = @Sendable (PeerTransportLogLevel, String, [(String, String)]) -> Void

package enum PeerTransportLogLevel: Int, Sendable {
    case debug, info, warning, error
}

/// Which end of a connection this is.
package enum ConnectionSide: Hashable, Sendable {
    case accepted
    case dialled(host: String)
}

/// On whose threads sockets are served.
package enum TransportEventLoops: Sendable {
    /// The caller's group, which must outlive the transport.
    case shared(any EventLoopGroup)
    /// A group of the transport's own, with so many threads.
    case own(threads: Int)
}

/// Every queue's bound.
package struct PeerTransportLimits: Hashable, Sendable {
    /// Messages to one member that wait for its socket. Beyond either number new ones are dropped.
    package var queueBytes = 64 << 20
    package var queueMessages = 8_192
    /// The same while there is no connection: enough for the votes and probes of a start, and nothing that would be
    /// stale on arrival. What waits is forgotten with every attempt that fails.
    package var disconnectedQueueBytes = 1 << 20
    package var disconnectedQueueMessages = 64
    /// Messages are put into one frame up to here; a longer message gets a frame of its own.
    package var frameTargetBytes = 1 << 20
    /// What is handed to a socket at once.
    package var writeBytes = 1 << 20
    /// Buffers up to this size are kept for the next batch.
    package var keptBufferBytes = 256 << 10
    /// One read from a socket takes so much at most.
    package var readBytes = 256 << 10
    package var acceptedConnections = 1_024
    package var listenBacklog: Int32 = 128
    package var outgoingSnapshots = 2
    package var incomingSnapshots = 2
    /// Chunks that may be on their way or waiting for the sink's disk. The sender keeps as many, to send them again.
    package var snapshotWindow = 8
    /// Bytes a second of one outgoing snapshot; nil for as fast as it goes.
    package var snapshotBytesPerSecond: Int?
    /// What may come on a connection that asks by HTTP.
    package var httpRequestBytes = 16 << 10
    /// Distinct reasons that are remembered as logged already.
    package var rememberedReasons = 64

    package init() {}
}

/// How long things may take.
package struct PeerTransportTimings: Hashable, Sendable {
    /// The pause after a failed attempt doubles from one to the other; half of it is random.
    package var shortestBackOff: TimeAmount = .milliseconds(20)
    package var longestBackOff: TimeAmount = .seconds(1)
    /// A connection that ended sooner than this counts as a failed attempt.
    package var settledAfter: TimeAmount = .seconds(1)
    package var connectTimeout: TimeAmount = .seconds(2)
    /// From a connection's first moment to the end of its handshake.
    package var handshakeTimeout: TimeAmount = .seconds(5)
    /// The dialler's pings: they measure the round trip, and tell an idle connection from a dead one.
    package var pingInterval: TimeAmount = .seconds(1)
    /// A connection on which nothing has come for so long is dead. (etcd's raft-read-timeout is 5 s as well.)
    package var readTimeout: TimeAmount = .seconds(5)
    /// Dropped messages are reported this often at most, for each member.
    package var unreachableInterval: TimeAmount = .milliseconds(100)
    /// A snapshot's receiver must have written another chunk within this.
    package var snapshotStallTimeout: TimeAmount = .seconds(60)
    /// And made all of it durable within this, after the last one.
    package var snapshotFinishTimeout: TimeAmount = .seconds(600)
    /// A snapshot whose connection has broken is given up by its sender when no chunk more was written for so long.
    package var snapshotResumeTimeout: TimeAmount = .seconds(30)
    /// What has come of such a snapshot is kept for so long by its receiver; no more than one at a time.
    package var snapshotKeptTime: TimeAmount = .seconds(30)

    package init() {}
}

/// Why a transport could not be started.
package enum PeerTransportError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Not `host:port`.
    case invalidAddress(String)
    case addressInUse(String)
    case cannotListen(String, reason: String)
    /// A transport is started once.
    case alreadyStarted

    package var description: String {
        switch self {
        case .invalidAddress(let address): "\"\(address)\" is not an address of the form host:port"
        case .addressInUse(let address): "cannot listen on \(address): the address is in use"
        case .cannotListen(let address, let reason): "cannot listen on \(address): \(reason)"
        case .alreadyStarted: "the transport was started before"
        }
    }
}
