import Logging
import NIOCore
import PeerTransport
import Raft
import RaftCore
import Replica
import Synchronization

/// Who is in the cluster and where, for the transport, the log and the other members' questions.
///
/// Members that were removed can still be reached for a while: the news that they were removed has to get to them.
/// (``PeerDirectory`` is the library's.)
final class MemberRoster: Sendable {
    private struct State: Sendable {
        var membership: ReplicaMembership
        /// Where the others are, while the cluster has not told: what was asked for when this member joined.
        var hints: [PeerAddress]
        var leaving: [(peer: PeerAddress, until: NIODeadline)] = []
        var transport: (any PeerTransport)?
    }

    /// What a change meant for this member.
    struct News: Equatable {
        /// It was in, and is not any more.
        var isRemoved = false
        /// Somebody else was removed: ``forgetLeavers()`` is due after the time that leavers are kept.
        var hasLeavers = false
    }

    let clusterID: UInt64
    let own: NodeID
    private let leaversKept: TimeAmount
    private let logger: Logger
    private let state: Mutex<State>
    /// One `setPeers` at a time; the transport may ask ``isKnown(_:)`` meanwhile.
    private let telling = Mutex(())

    init(
        clusterID: UInt64, own: NodeID, membership: ReplicaMembership, hints: [PeerAddress], leaversKept: TimeAmount,
        logger: Logger
    ) {
        self.clusterID = clusterID
        self.own = own
        self.leaversKept = leaversKept
        self.logger = logger
        state = Mutex(State(membership: membership, hints: hints))
    }

    // MARK: Questions

    var membership: ReplicaMembership { state.withLock { $0.membership } }

    /// A member that has heard nothing yet cannot know who may speak to it.
    func isKnown(_ id: NodeID) -> Bool {
        state.withLock { state in
            state.membership.members.isEmpty || state.membership.members.contains { $0.id == id }
                || state.leaving.contains { $0.peer.node == id }
        }
    }

    func isRemoved(_ id: NodeID) -> Bool { state.withLock { $0.membership.removed.contains(id) } }

    func name(of id: NodeID) -> String {
        let name = state.withLock { state in state.membership.members.first { $0.id == id }?.name }
        return name.flatMap { $0.isEmpty ? nil : $0 } ?? hex(id.rawValue)
    }

    // MARK: Changes

    func attach(_ transport: any PeerTransport) {
        state.withLock { $0.transport = transport }
        tell()
    }

    /// On the thread that applies.
    func update(_ new: ReplicaMembership, now: NIODeadline = .now()) -> News {
        let (old, news) = state.withLock { state in
            let old = state.membership
            var news = News()
            for member in old.members where !new.members.contains(where: { $0.id == member.id }) {
                if member.id == own {
                    news.isRemoved = true
                } else {
                    state.leaving.append((Self.address(of: member), now + leaversKept))
                    news.hasLeavers = true
                }
            }
            state.leaving.removeAll { leaver in new.members.contains { $0.id == leaver.peer.node } }
            state.membership = new
            return (old, news)
        }
        log(from: old, to: new)
        tell()
        return news
    }

    /// Cuts off those whose time is up.
    func forgetLeavers(now: NIODeadline = .now()) {
        let isChanged = state.withLock { state in
            let before = state.leaving.count
            state.leaving.removeAll { $0.until <= now }
            return state.leaving.count != before
        }
        if isChanged { tell() }
    }

    /// Where everybody is who may be spoken to.
    var addresses: [PeerAddress] {
        state.withLock { state in
            let members = state.membership.members
            let known = members.isEmpty ? state.hints : members.map(Self.address(of:))
            return (known + state.leaving.map(\.peer)).filter { $0.node != own }
        }
    }

    private func tell() {
        telling.withLock { _ in
            guard let transport = state.withLock({ $0.transport }) else { return }
            transport.setPeers(addresses)
        }
    }

    static func address(of member: Member) -> PeerAddress {
        PeerAddress(
            node: member.id,
            endpoints: member.peerURLs.compactMap { text in
                do throws(ConfigurationError) {
                    return try ServerURL(parsing: text).hostAndPort
                } catch {
                    return nil
                }
            })
    }

    // MARK: The log

    /// In etcd's words.
    private func log(from old: ReplicaMembership, to new: ReplicaMembership) {
        func fields(_ prefix: String, _ member: Member) -> Logger.Metadata {
            [
                "cluster-id": "\(hex(clusterID))", "local-member-id": "\(hex(own.rawValue))",
                "\(prefix)-peer-id": "\(hex(member.id.rawValue))",
                "\(prefix)-peer-urls": "\(member.peerURLs.joined(separator: ","))",
            ]
        }
        for member in old.members where !new.members.contains(where: { $0.id == member.id }) {
            logger.info("removed member", metadata: fields("removed-remote", member))
        }
        for member in new.members {
            let isLearner = new.configuration.learners.contains(member.id)
            guard let before = old.members.first(where: { $0.id == member.id }) else {
                logger.info(
                    "added member",
                    metadata: fields("added", member).merging(
                        ["added-peer-is-learner": "\(isLearner)"], uniquingKeysWith: { first, _ in first }))
                continue
            }
            if before.peerURLs != member.peerURLs { logger.info("updated member", metadata: fields("updated", member)) }
            if old.configuration.learners.contains(member.id), !isLearner {
                logger.info("promoted member", metadata: fields("promoted", member))
            }
        }
    }
}
