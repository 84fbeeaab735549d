import Logging
public import NIOCore
import PeerTransport
import PeerTransportNIO
import RaftCore

/// How members reach each other.
public struct RaftTransport: Sendable {
    enum Kind: Sendable {
        case tcp(TCPOptions)
        case inMemory(InMemoryNetwork)
        case custom(any MessageTransport)
    }
    let kind: Kind

    /// Over TCP: one connection each way between any two members, checked for who is at the other end; snapshots on
    /// connections of their own.
    public static func tcp(_ options: TCPOptions = TCPOptions()) -> RaftTransport { RaftTransport(kind: .tcp(options)) }

    /// - Parameter listen: `host:port`; port 0 takes a free one.
    public static func tcp(listen: String) -> RaftTransport { tcp(TCPOptions(listen: [listen])) }

    /// Between members in one process.
    public static func inMemory(_ network: InMemoryNetwork) -> RaftTransport { RaftTransport(kind: .inMemory(network)) }

    /// Your own.
    public static func custom(_ transport: any MessageTransport) -> RaftTransport {
        RaftTransport(kind: .custom(transport))
    }

    public struct TCPOptions: Sendable {
        /// `host:port` pairs; empty for the member's own address, as the cluster's list has it.
        public var listen: [String]
        /// Bytes a second of one snapshot that is sent; nil for as fast as it goes.
        public var snapshotBytesPerSecond: Int?
        /// Called on the event loop for each new connection, before anything else is added to its pipeline: the place
        /// for TLS, with `NIOSSLServerHandler` and `NIOSSLClientHandler` of swift-nio-ssl. Without it, whoever reaches
        /// the port can read and change everything.
        public var configureChannel: (@Sendable (any Channel, Side) throws -> Void)?

        /// Which end of a connection a channel is.
        public enum Side: Hashable, Sendable {
            case accepted
            case dialled(host: String)
        }

        public init(listen: [String] = []) { self.listen = listen }
    }
}

extension RaftTransport.TCPOptions {
    func make(
        node: NodeID, cluster: UInt64, seed: UInt64, ownAddress: String?, isKnown: @escaping @Sendable (NodeID) -> Bool,
        register: DirectoryRegister, relay: FailureRelay, logger: Logger
    ) throws(RaftError) -> NIOPeerTransport {
        var addresses = listen
        if addresses.isEmpty, let ownAddress { addresses = [ownAddress] }
        guard !addresses.isEmpty else {
            throw .invalidOptions("no address to listen on: give one, or put this member into the cluster's list")
        }
        var options = NIOPeerTransportOptions(
            node: node, cluster: cluster, listenAddresses: addresses, seed: seed, log: MemberLog.transport(logger))
        options.isKnown = isKnown
        options.directory = register.own
        options.recognise = { register.recognise($0, $1) }
        options.disowned = { peer in
            relay.fail(
                NodeFailure(
                    part: .membership,
                    reason:
                        "member \(peer) knows this member with another directory. Without that one it has forgotten "
                        + "what it voted for and acknowledged, and must not take part: start it with its own "
                        + "directory, or, where that is lost, remove it and add a new member with another id"))
        }
        options.limits.snapshotBytesPerSecond = snapshotBytesPerSecond
        if let configureChannel {
            options.configureChannel = { channel, side in
                switch side {
                case .accepted: try configureChannel(channel, .accepted)
                case .dialled(let host): try configureChannel(channel, .dialled(host: host))
                }
            }
        }
        return NIOPeerTransport(options, eventLoops: .own(threads: 1))
    }
}

/// A transport, and whether it can reach a member now (nil: it does not know).
struct AttachedTransport: Sendable {
    var transport: any PeerTransport
    var isConnected: @Sendable (NodeID) -> Bool?
    /// The port that is listened on, where there is one.
    var port: @Sendable () -> Int?
}
