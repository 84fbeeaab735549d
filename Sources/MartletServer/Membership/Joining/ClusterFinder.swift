import Logging
import RaftCore

/// Finds the cluster in the way that the flags ask for: by oneself (`--join`), or as somebody who was added by a call.
final class ClusterFinder: ClusterFinding {
    private let configuration: ServerConfiguration
    private let logger: Logger
    private let peerSockets: [ListeningSocket]
    private let isStopping: () -> Bool
    /// What the log in the data directory says, as soon as that is open.
    var identity: (clusterID: UInt64, memberID: NodeID)?

    init(
        _ configuration: ServerConfiguration, logger: Logger, peerSockets: [ListeningSocket],
        isStopping: @escaping () -> Bool
    ) {
        self.configuration = configuration
        self.logger = logger
        self.peerSockets = peerSockets
        self.isStopping = isStopping
    }

    func find(isPrepared: Bool) throws(ConfigurationError) -> ClusterJoin.Found {
        guard !configuration.join.isEmpty else {
            return try ClusterJoin(configuration: configuration, logger: logger).find(isPrepared: isPrepared)
        }
        let proof = try JoinProof(peerSockets)
        defer { proof.stop() }
        var entry = ClusterEntry(configuration: configuration, logger: logger, identity: identity, nonce: proof.nonce)
        entry.isStopping = isStopping
        return try entry.find(isPrepared: isPrepared)
    }
}
