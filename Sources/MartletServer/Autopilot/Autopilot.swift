import EtcdAPI
import HTTP2
import Logging
import NIOCore
import Raft
import RaftCore
import Replica
import Synchronization

/// Watches the other members: names those that are dead and, where the operator allowed it, removes them
/// (Documentation/joining.md). Every member watches; only the leader speaks and acts.
final class Autopilot: Sendable {
    struct Options: Sendable {
        var rule: DeadMemberRule
        var pause = TimeAmount.seconds(1)

        init(_ configuration: ServerConfiguration) {
            rule = DeadMemberRule(
                removeAfter: TimeAmount(configuration.autopilotRemoveDeadAfter),
                votersMin: configuration.autopilotMinQuorum)
        }
    }

    private struct State: Sendable {
        var watch = MemberWatch()
        /// nil: this member does not lead.
        var leadsSince: NIODeadline?
        /// What was said last of a dead member that stays.
        var said: DeadMemberRule.Verdict?
        /// While a removal is on its way, or has just failed.
        var restUntil = NIODeadline.uptimeNanoseconds(0)
    }

    private let changes: MemberChanges
    private let options: Options
    private let logger: Logger
    private let eventLoop: any EventLoop
    private let isStopped = Atomic(false)
    private let state = Mutex(State())

    /// After an attempt, whatever came of it.
    private static let rest = TimeAmount.seconds(10)

    init(changes: MemberChanges, options: Options, logger: Logger, eventLoop: any EventLoop) {
        self.changes = changes
        self.options = options
        self.logger = logger
        self.eventLoop = eventLoop
    }

    func start() {
        eventLoop.scheduleTask(in: options.pause) { [self] in
            guard !isStopped.load(ordering: .relaxed) else { return }
            look(now: .now())
            start()
        }
    }

    func stop() { isStopped.store(true, ordering: .relaxed) }

    /// For how long this member has not been connected to that one; nil while it is.
    func silence(of id: NodeID) -> TimeAmount? { state.withLock { $0.watch.silence(of: id, now: .now()) } }

    private func look(now: NIODeadline) {
        let context = changes.context
        let own = context.memberID
        let view = context.node.published.view
        let status = context.node.published.status
        guard status.failure == nil, !status.isJoining else { return }
        let rules = changes.rules
        let (news, verdict) = state.withLock { state in
            let news = state.watch.look(
                at: view.members, besides: own, isConnected: { rules.connectedFor($0) != nil }, now: now)
            guard status.role == .leader else {
                state.leadsSince = nil
                state.said = nil
                return ([MemberWatch.News](), DeadMemberRule.Verdict.nobody)
            }
            let leadsSince = state.leadsSince ?? now
            // Who has just begun to lead tells what it knew before.
            let all = state.leadsSince == nil ? state.watch.silentOnes(view.members) : news
            state.leadsSince = leadsSince
            var verdict = options.rule.verdict(
                in: view, besides: own,
                silence: { id in state.watch.silence(of: id, now: now).map { min($0, now - leadsSince) } },
                isSteady: { id in
                    id == own || rules.connectedFor(id).map { $0 >= MembershipRules.healthyNanoseconds } ?? false
                })
            if case .remove = verdict {
                if now < state.restUntil { verdict = .nobody } else { state.restUntil = now + Self.rest }
            } else if verdict == state.said {
                verdict = .nobody
            } else {
                state.said = verdict
            }
            return (all, verdict)
        }
        for each in news { say(each) }
        switch verdict {
        case .nobody: break
        case .keep(let id, let reason):
            logger.warning(
                "autopilot leaves a dead member where it is",
                metadata: ["member": "\(name(of: id, in: view))", "reason": "\(reason)"])
        case .remove(let id): remove(id, name(of: id, in: view))
        }
    }

    private func say(_ news: MemberWatch.News) {
        switch news {
        case .silent(let member):
            let time = GoDuration.text(.nanoseconds(MemberWatch.silentTime.nanoseconds))
            logger.warning(
                "a member does not answer",
                metadata: [
                    "member": "\(JoinPlace.description(of: member))",
                    "peer-urls": "\(member.peerURLs.joined(separator: ","))", "for-at-least": "\(time)",
                    "what-to-do":
                        "start it; or, if it is lost: martlet serve --join ... --replace \(hex(member.id.rawValue))",
                ])
        case .back(let member, let time):
            logger.info(
                "a member answers again",
                metadata: [
                    "member": "\(JoinPlace.description(of: member))",
                    "silent-for": "\(GoDuration.text(.nanoseconds(time.nanoseconds)))",
                ])
        }
    }

    private func remove(_ id: NodeID, _ name: String) {
        logger.warning(
            "autopilot removes a dead member",
            metadata: [
                "member": "\(name)",
                "silent-for-at-least": "\(GoDuration.text(.nanoseconds(options.rule.removeAfter.nanoseconds)))",
            ])
        changes.make(
            MemberChanges.Attempt(
                eventLoop: eventLoop, deadline: changes.patience,
                judge: { [rules = changes.rules] (view) throws(EtcdError) in try rules.remove(id, in: view) },
                done: { [logger] result in
                    switch result {
                    case .success:
                        logger.warning("autopilot has removed a dead member", metadata: ["member": "\(name)"])
                    case .failure(let failure):
                        logger.warning(
                            "autopilot could not remove a dead member",
                            metadata: ["member": "\(name)", "reason": "\(failure.status.message)"])
                    }
                }))
    }

    private func name(of id: NodeID, in view: ReplicaView) -> String {
        view.members.first { $0.id == id }.map(JoinPlace.description) ?? hex(id.rawValue)
    }
}
