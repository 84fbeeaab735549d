import EtcdAPI
import HTTP2
import NIOCore
import Raft
import Replica

/// What every call passes before its service hears of it, in the order of etcd's interceptors: what a learner answers,
/// and what the client's metadata ask for (facts 2.12).
struct CallGate: Sendable {
    private let published: PublishedState<ReplicaView>
    private let learners: LearnerGate

    init(published: PublishedState<ReplicaView>) {
        self.published = published
        learners = LearnerGate(published: published)
    }

    func refusal(_ call: GRPCCall, _ path: String, _ message: ByteBuffer?) -> GRPCStatus? {
        if let refusal = learners.refusal(path, message) { return refusal }
        return refusal(
            isVersionText: call.isText("client-api-version"), needsLeader: call.metadata("hasleader") == "true")
    }

    /// What is asked of the metadata alone.
    func refusal(isVersionText: Bool, needsLeader: Bool) -> GRPCStatus? {
        guard isVersionText else { return GRPCStatus(EtcdError.invalidClientAPIVersion) }
        guard needsLeader, published.status.leader == nil else { return nil }
        return GRPCStatus(EtcdError.noLeader)
    }
}
