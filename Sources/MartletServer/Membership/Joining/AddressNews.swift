import EtcdAPI
import Foundation
import Logging
import NIOCore
import Raft
import RaftCore
import Replica

/// A member that comes back under other peer URLs than the cluster has of it tells the cluster. The others cannot reach
/// it by then, so that consensus is no way to tell them: it asks one at its client port, which looks whether this
/// member is there, and has it changed.
final class AddressNews: Sendable {
    private let changes: MemberChanges
    private let urls: [String]
    private let logger: Logger
    private let eventLoop: any EventLoop

    static let path = "/cluster/move"
    private static let pause = TimeAmount.seconds(1)
    private static let answerTime = TimeAmount.seconds(10)
    private static let reminder = 30

    /// - Parameter urls: what the flags say.
    init(changes: MemberChanges, urls: [String], logger: Logger, eventLoop: any EventLoop) {
        self.changes = changes
        self.urls = urls.sorted()
        self.logger = logger
        self.eventLoop = eventLoop
    }

    func start() {
        guard let own, Set(own.peerURLs) != Set(urls) else { return }
        logger.warning(
            "this member has other peer URLs than the cluster has of it; telling the cluster",
            metadata: [
                "cluster-has": "\(own.peerURLs.joined(separator: ","))", "now": "\(urls.joined(separator: ","))",
            ])
        eventLoop.execute { [self] in tell(attempt: 0) }
    }

    private var own: Member? {
        changes.context.node.published.view.members.first { $0.id == changes.context.memberID }
    }

    private func tell(attempt: Int) {
        guard changes.context.node.published.status.failure == nil, let own else { return }
        guard Set(own.peerURLs) != Set(urls) else {
            return logger.info(
                "the cluster has this member's peer URLs now", metadata: ["now": "\(urls.joined(separator: ","))"])
        }
        let others = changes.context.node.published.view.members.filter { $0.id != own.id }
        guard !others.isEmpty else { return changeAlone(own.id) }
        let clients = others.flatMap(\.clientURLs).compactMap { text -> ServerURL? in
            do throws(ConfigurationError) {
                return try ServerURL(parsing: text)
            } catch {
                return nil
            }
        }
        ask(clients, attempt: attempt, reasons: [])
    }

    /// Nobody else has to find this one.
    private func changeAlone(_ id: NodeID) {
        changes.make(
            MemberChanges.Attempt(
                eventLoop: eventLoop, deadline: changes.patience,
                judge: { [changes, urls] (view) throws(EtcdError) in
                    try changes.rules.update(id, peerURLs: urls, in: view)
                },
                done: { [self] _ in again(attempt: 0, reasons: []) }))
    }

    private func ask(_ clients: [ServerURL], attempt: Int, reasons: [String]) {
        guard let url = clients.first else { return again(attempt: attempt, reasons: reasons) }
        let question = MoveQuestion(
            clusterID: hex(changes.context.clusterID), memberID: hex(changes.context.memberID.rawValue), peerURLs: urls)
        let body = (try? JSONEncoder().encode(question)).map(Array.init) ?? []
        HTTPAsk.ask(
            url, .init(method: .post, path: Self.path, body: body), timeout: Self.answerTime, on: eventLoop
        ).whenComplete { [self] result in
            let reason: String
            switch result {
            case .success(let answer) where answer.status == 200: return again(attempt: attempt, reasons: [])
            case .success(let answer):
                let refusal = try? JSONDecoder().decode(JoinRefusal.Body.self, from: Data(answer.body))
                reason = refusal?.error ?? "HTTP status \(answer.status)"
            case .failure(let error): reason = HTTPAsk.failure(error).description
            }
            ask(Array(clients.dropFirst()), attempt: attempt, reasons: reasons + ["\(url.hostAndPort): \(reason)"])
        }
    }

    private func again(attempt: Int, reasons: [String]) {
        if !reasons.isEmpty, attempt % Self.reminder == 0 {
            logger.warning(
                "the cluster does not take this member's new peer URLs yet",
                metadata: ["reason": "\(reasons.joined(separator: "; "))"])
        }
        eventLoop.scheduleTask(in: Self.pause) { [self] in tell(attempt: attempt + 1) }
    }
}
