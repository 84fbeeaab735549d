import EtcdAPI
import HTTP2
import NIOCore
import Raft
import RaftCore
import Replica

/// Has changes of the members made, whoever wants one: etcd's calls, the routes for joining, a learner that wants to
/// vote, autopilot.
struct MemberChanges: Sendable {
    let context: ServiceContext
    let rules: MembershipRules

    /// Decides, by what the cluster agrees on, which change it is to be.
    typealias Judge = (ReplicaView) throws(EtcdError) -> MembershipRules.Plan

    enum Failure: Error, Hashable, Sendable {
        /// By this member's rules.
        case refused(EtcdError)
        /// By the leader, or nobody has decided it.
        case failed(RequestFailure)
        /// The replica answered with something else.
        case strange

        var status: GRPCStatus {
            switch self {
            case .refused(let error): GRPCStatus(error)
            case .failed(let failure): GRPCStatus(failure)
            case .strange: .anotherKind
            }
        }
    }

    struct Attempt {
        /// Of the server's.
        var eventLoop: any EventLoop
        var deadline: NIODeadline
        var judge: Judge
        var isCancelled: () -> Bool = { false }
        /// With the members as they are then, and whom it was about.
        var done: (Swift.Result<(view: ReplicaView, id: NodeID), Failure>) -> Void
    }

    /// How long another change is waited for before this one is tried again.
    private static let retryPause = TimeAmount.milliseconds(20)

    var patience: NIODeadline {
        NIODeadline.now() + .nanoseconds(Int64(clamping: context.node.options.requestTimeoutNanoseconds))
    }

    /// Judges a change by what the cluster agrees on now, and has it made. If the members changed in between, or
    /// another change is under way, it is judged anew, until the time is up.
    ///
    /// Whether there are enough members for it is judged by what this one knows first, as in etcd: if there are not,
    /// perhaps nothing can be agreed on.
    func make(_ attempt: Attempt) {
        do throws(EtcdError) {
            _ = try attempt.judge(context.node.published.view)
        } catch {
            if error == .memberNotEnoughStarted || error == .unhealthy {
                return attempt.done(.failure(.refused(error)))
            }
        }
        judgeAndMake(attempt)
    }

    private func judgeAndMake(_ attempt: Attempt) {
        guard !attempt.isCancelled() else { return }
        context.requests(on: attempt.eventLoop).read { result in
            do throws(EtcdError) {
                switch result {
                case .success(let view): propose(try attempt.judge(view), attempt)
                case .failure(let failure): attempt.done(.failure(.failed(failure)))
                }
            } catch {
                attempt.done(.failure(.refused(error)))
            }
        }
    }

    private func propose(_ plan: MembershipRules.Plan, _ attempt: Attempt) {
        let ticket = AwaitedReply<ReplicaResult>.ticket(on: attempt.eventLoop) { result in
            switch result {
            // Published before the answer left: it has this change, and those after it.
            case .success(.membersChanged): settle(plan, attempt)
            case .success(.membershipOutdated): again(attempt, instead: .refused(.timeout))
            case .success(.keyValue), .success(.lease), .success(.alarm): attempt.done(.failure(.strange))
            case .failure(.configurationRefused(let reason)) where reason.passes:
                again(attempt, instead: .failed(.configurationRefused(reason)))
            // Nothing was taken.
            case .failure(.leaderChanging), .failure(.noLeader): again(attempt, instead: .refused(.noLeader))
            case .failure(let failure):
                attempt.done(.failure(.failed(context.timeouts.told(failure, by: context.node))))
            }
        }
        context.node.change(plan.change, ticket: ticket)
    }

    /// A change of several steps goes through a joint configuration, which the leader leaves by itself: only then is
    /// it done.
    private func settle(_ plan: MembershipRules.Plan, _ attempt: Attempt) {
        let view = context.node.published.view
        guard plan.change.changes.count > 1, view.configuration.isJoint, NIODeadline.now() < attempt.deadline else {
            return attempt.done(.success((view, plan.member)))
        }
        attempt.eventLoop.assumeIsolated().scheduleTask(in: Self.retryPause) { settle(plan, attempt) }
    }

    private func again(_ attempt: Attempt, instead failure: Failure) {
        guard NIODeadline.now() + Self.retryPause < attempt.deadline else { return attempt.done(.failure(failure)) }
        attempt.eventLoop.assumeIsolated().scheduleTask(in: Self.retryPause) { judgeAndMake(attempt) }
    }
}

extension ConfigurationRefusal {
    /// Another change is under way: it comes to its end.
    fileprivate var passes: Bool {
        switch self {
        case .pending, .isJoint: true
        default: false
        }
    }
}
