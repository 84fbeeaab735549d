import EtcdAPI
import HTTP2
import NIOCore
import Raft
import Replica
import Synchronization

/// What a learner answers (C3): reads of its own state, how it is, and its snapshot. The rest needs somebody who votes,
/// and a client that is told so goes elsewhere. All calls pass here (``CallGate``).
///
/// A member that is to join and has not got the cluster's state yet has nothing to answer with at all.
struct LearnerGate: Sendable {
    let published: PublishedState<ReplicaView>

    func refusal(_ path: String, _ message: ByteBuffer?) -> GRPCStatus? {
        // Nearly always: one load of an atomic.
        guard !published.isFull.load(ordering: .relaxed) else { return nil }
        if path == EtcdMethod.status.rawValue { return nil }
        guard !published.status.isJoining else { return GRPCStatus(EtcdError.noLeader) }
        switch path {
        case EtcdMethod.snapshot.rawValue: return nil
        case EtcdMethod.range.rawValue where Self.isSerializable(message): return nil
        default: return GRPCStatus(EtcdError.notSupportedForLearner)
        }
    }

    /// What cannot be read is for the service to refuse.
    private static func isSerializable(_ message: ByteBuffer?) -> Bool {
        guard let message else { return false }
        return message.withUnsafeReadableBytes { bytes in
            do {
                return try RangeRequestView(decoding: bytes).serializable
            } catch {
                return true
            }
        }
    }
}
