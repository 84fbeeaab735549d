import EtcdAPI
import HTTP2
import Logging
import NIOCore
import Raft
import RaftCore
import Replica

/// A member that has joined by itself wants to vote, and asks for it until it does. The leader judges whether it has
/// caught up. (Decision 0021: the wish is the member's, so that nothing of it is in the cluster's state; a learner that
/// somebody added by hand has no such wish, and waits for `member promote` as in etcd.)
final class SelfPromotion: Sendable {
    private let changes: MemberChanges
    private let logger: Logger
    private let name: String
    /// The member whose place this one takes, by name or id.
    private let replaces: String?
    private let eventLoop: any EventLoop

    private static let pause = TimeAmount.milliseconds(250)
    /// How often it is said what is waited for: each so many attempts.
    private static let reminder = 40

    init(changes: MemberChanges, name: String, replaces: String?, logger: Logger, eventLoop: any EventLoop) {
        self.changes = changes
        self.name = name
        self.replaces = replaces
        self.logger = logger
        self.eventLoop = eventLoop
    }

    func start() { later(attempt: 0, reason: "") }

    private func later(attempt: Int, reason: String) {
        eventLoop.scheduleTask(in: Self.pause) { [self] in look(attempt: attempt, said: reason) }
    }

    private func look(attempt: Int, said: String) {
        let status = changes.context.node.published.status
        guard status.failure == nil else { return }
        guard !status.isJoining, status.leader != nil else { return later(attempt: attempt, reason: said) }
        let own = changes.context.memberID
        let view = changes.context.node.published.view
        guard view.configuration.learners.contains(own) else {
            // Who votes already wants nothing any more: not the end of a member, either, that is called like the one it
            // has replaced once.
            if view.configuration.voters.contains(own) { return }
            return later(attempt: attempt, reason: said)
        }
        let old = replaces.flatMap { text in view.members(called: text).first { $0.id != own } }
        // Both may have asked for their places before either had told its name.
        if let other = view.members.first(where: { each in
            each.name == name && ![own, old?.id].contains(each.id) && view.configuration.voters.contains(each.id)
        }) {
            let reason = "its name is that of \(JoinPlace.description(of: other)); start it with another --name"
            if attempt % Self.reminder == 0 {
                logger.error("this member stays a learner", metadata: ["reason": "\(reason)"])
            }
            return later(attempt: attempt + 1, reason: reason)
        }
        changes.make(
            MemberChanges.Attempt(
                eventLoop: eventLoop, deadline: changes.patience,
                judge: { [rules = changes.rules] (view) throws(EtcdError) in
                    guard let old, view.members.contains(where: { $0.id == old.id }) else {
                        return try rules.promote(own, in: view)
                    }
                    return try rules.replace(old.id, by: own, in: view)
                },
                done: { [self] in went($0, instead: old, attempt: attempt, said: said) }))
    }

    private func went(
        _ result: Swift.Result<(view: ReplicaView, id: NodeID), MemberChanges.Failure>, instead old: Member?,
        attempt: Int, said: String
    ) {
        switch result {
        case .success:
            logger.info(
                "this member has caught up and votes now",
                metadata: old.map { ["instead-of": "\(JoinPlace.description(of: $0))"] } ?? [:])
        case .failure(let failure):
            let reason = failure.status.message
            if reason != said || attempt % Self.reminder == 0 {
                logger.info(
                    "this member is a learner, and asks to vote", metadata: ["not-yet": "\(reason)"])
            }
            later(attempt: attempt + 1, reason: reason)
        }
    }
}
