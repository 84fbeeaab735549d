import EtcdAPI
import HTTP2
import MVCC
import NIOCore
import Raft
import RaftCore
import Replica
import SwiftProtobuf

// `Alarm` (M2, M3): the list, and raising and disarming by hand.
extension MaintenanceService {
    /// As etcd's status has it: its message's text, with the blank at its end (M4).
    static func text(of alarm: Alarm) -> String {
        let kind = ActiveAlarm.Kind(alarm.kind).rawValue
        return (alarm.member == 0 ? "" : "memberID:\(alarm.member) ") + "alarm:\(kind) "
    }

    func alarm(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let request: Etcdserverpb_AlarmRequest = call.decode(message) else { return }
        // etcd 3.5 takes a kind that it does not know, and every member panics when it is applied.
        guard let kind = Self.kind(request.alarm) else {
            return call.finish(
                GRPCStatus(.invalidArgument, "martlet: \(request.alarm.rawValue) is no kind of alarm"))
        }
        switch request.action {
        case .get: list(kind, for: call)
        case .activate: change(kind.map { .activate(Alarm($0, member: request.memberID)) }, for: call)
        case .deactivate: change(kind.map { .deactivate(Alarm($0, member: request.memberID)) }, for: call)
        case .UNRECOGNIZED(let number):
            call.finish(GRPCStatus(.invalidArgument, "martlet: \(number) is nothing to do with alarms"))
        }
    }

    /// nil inside: none, which is all of them for a list. nil: there is no such kind.
    private static func kind(_ wire: Etcdserverpb_AlarmType) -> AlarmKind?? {
        switch wire {
        case .none: .some(nil)
        case .nospace: .noSpace
        case .corrupt: .corrupt
        case .UNRECOGNIZED: nil
        }
    }

    /// The list is as of now: etcd's goes through the log. Which member was asked for is not looked at, as in etcd.
    private func list(_ kind: AlarmKind?, for call: GRPCCall) {
        context.requests(on: call.eventLoop).read { result in
            switch result {
            case .success(let view):
                reply(view.alarms.filter { kind == nil || $0.kind == kind }, view.store.revision, to: call)
            case .failure(let failure): call.finish(GRPCStatus(failure))
            }
        }
    }

    /// - Parameter command: nil for no kind of alarm, which changes nothing and is answered so (M3).
    private func change(_ command: AlarmCommand?, for call: GRPCCall) {
        guard let command else { return reply([], context.node.published.view.store.revision, to: call) }
        context.requests(on: call.eventLoop).propose(command) { result in
            switch result {
            case .success(let outcome):
                switch outcome.result {
                case .raised, .wasRaised, .disarmed: reply([outcome.alarm], outcome.revision, to: call)
                case .wasNotRaised: reply([], outcome.revision, to: call)
                case .tooMany:
                    call.finish(
                        GRPCStatus(
                            .resourceExhausted, "martlet: \(AlarmDirectory.alarmsMax) alarms are raised already"))
                }
            case .failure(let failure): call.finish(GRPCStatus(failure))
            }
        }
    }

    private func reply(_ alarms: [Alarm], _ revision: Revision, to call: GRPCCall) {
        var response = Etcdserverpb_AlarmResponse()
        response.header = Etcdserverpb_ResponseHeader(context.header(revision: revision.rawValue))
        response.alarms = alarms.map { alarm in
            var member = Etcdserverpb_AlarmMember()
            member.memberID = alarm.member
            member.alarm = alarm.kind == .noSpace ? .nospace : .corrupt
            return member
        }
        call.reply(serializing: response)
    }
}
