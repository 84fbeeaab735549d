import Foundation
import Logging
import NIOCore
import RaftCore
import Replica

/// How a member gets into a cluster by itself (`--join`): it asks any member for a place, and asks again for as long as
/// there is none for the moment.
///
/// Asking is without danger: a member that was added, and died before its directory was written, asks again under the
/// same name and addresses and gets the same place.
struct ClusterEntry: ClusterFinding {
    let configuration: ServerConfiguration
    let logger: Logger
    /// What the log in the data directory says, if there is one.
    var identity: (clusterID: UInt64, memberID: NodeID)?
    /// What this member answers at its own peer URLs meanwhile.
    var nonce: String?

    // Tests answer by themselves, and wait for nothing.
    var ask: (ServerURL, HTTPAsk.Request) -> Result<HTTPAsk.Answer, HTTPAsk.Failure> = { url, request in
        Result { () throws(HTTPAsk.Failure) in try HTTPAsk.ask(url, request, timeout: Self.answerTime) }
    }
    var pause: (Duration) -> Void = { Thread.sleep(forTimeInterval: $0 / .seconds(1)) }
    var now: () -> Duration = {
        let now = NIODeadline.now()
        return .nanoseconds(Int64(clamping: now.uptimeNanoseconds))
    }
    /// Whether somebody wants this process to end.
    var isStopping: () -> Bool = { false }

    static let path = "/cluster/join"
    /// The one that is asked dials back, and has to get a change through.
    static let answerTime = TimeAmount.seconds(20)
    static let pauseMax = 10
    /// How often the same reason for waiting is said.
    private static let reminder = Duration.seconds(10)

    func find(isPrepared: Bool) throws(ConfigurationError) -> ClusterJoin.Found {
        let request = try request()
        let deadline = now() + configuration.joinTimeout
        var said = (reason: "", at: Duration.zero)
        var attempt = 0
        while true {
            var seconds = 1
            var reasons: [String] = []
            for url in configuration.join {
                switch ask(url, request) {
                case .failure(let failure): reasons.append("\(url.hostAndPort): \(failure)")
                case .success(let answer):
                    switch try read(answer, of: url) {
                    case .found(let found): return found
                    case .wait(let reason, let time):
                        reasons.append("\(url.hostAndPort): \(reason)")
                        seconds = max(seconds, time)
                    }
                }
            }
            attempt += 1
            let reason = reasons.joined(separator: "; ")
            if reason != said.reason || now() - said.at >= Self.reminder {
                logger.info(
                    "the cluster to join has no place for this member yet; asking again",
                    metadata: [
                        "reason": "\(reason)", "attempt": "\(attempt)",
                        "join-timeout": "\(GoDuration.text(configuration.joinTimeout))",
                    ])
                said = (reason, now())
            }
            guard now() + .seconds(seconds) < deadline else {
                throw ConfigurationError(
                    "--join: no place in the cluster within \(GoDuration.text(configuration.joinTimeout)) "
                        + "(--join-timeout): \(reason)")
            }
            // In short steps: a signal is not to wait for it.
            for _ in 0..<(seconds * 10) {
                if isStopping() { throw ConfigurationError("stopped while it was asking to join: \(reason)") }
                pause(.milliseconds(100))
            }
        }
    }

    private func request() throws(ConfigurationError) -> HTTPAsk.Request {
        let question = JoinQuestion(
            name: configuration.name, peerURLs: configuration.initialAdvertisePeerURLs.map(\.description),
            token: configuration.givenClusterToken, clusterID: identity.map { hex($0.clusterID) },
            memberID: identity.map { hex($0.memberID.rawValue) }, nonce: nonce, replaces: configuration.replaces)
        do {
            return HTTPAsk.Request(method: .post, path: Self.path, body: Array(try JSONEncoder().encode(question)))
        } catch {
            throw ConfigurationError("--join: the question cannot be written as JSON: \(error)")
        }
    }

    private enum Reading {
        case found(ClusterJoin.Found)
        case wait(String, seconds: Int)
    }

    private func read(_ answer: HTTPAsk.Answer, of url: ServerURL) throws(ConfigurationError) -> Reading {
        let body = Data(answer.body)
        if answer.status == 200 {
            guard let place = try? JSONDecoder().decode(JoinAnswer.self, from: body), let found = place.found else {
                throw ConfigurationError("--join: \(url.hostAndPort) answers with a place that cannot be read")
            }
            logger.info(
                "has a place in the cluster",
                metadata: [
                    "member": "\(url.hostAndPort)", "cluster-id": "\(place.clusterID)",
                    "member-id": "\(place.memberID)", "initial-cluster": "\(place.initialCluster)",
                ])
            return .found(found)
        }
        guard let refusal = try? JSONDecoder().decode(JoinRefusal.Body.self, from: body) else {
            throw ConfigurationError(
                "--join: \(url.hostAndPort) answers, but not as a member of Martlet (HTTP status \(answer.status)); "
                    + "name a member's port for clients. To join a cluster of etcd, add the member there and start "
                    + "with --initial-cluster and --initial-cluster-state existing")
        }
        guard answer.status == 503 else {
            throw ConfigurationError("--join: \(url.hostAndPort) refuses: \(refusal.error)")
        }
        let seconds = answer["retry-after"].flatMap { Int($0) } ?? 1
        return .wait(refusal.error, seconds: min(max(seconds, 1), Self.pauseMax))
    }
}

extension JoinAnswer {
    /// nil if it does not say who was asked for.
    var found: ClusterJoin.Found? {
        guard let cluster = UInt64(clusterID, radix: 16) else { return nil }
        let members = members.compactMap { member -> PeerMember? in
            UInt64(member.id, radix: 16).map { id in
                PeerMember(
                    id: id, peerURLs: member.peerURLs, isLearner: member.isLearner, name: member.name,
                    clientURLs: member.clientURLs)
            }
        }
        guard let own = members.first(where: { hex($0.id) == memberID }) else { return nil }
        return ClusterJoin.Found(clusterID: cluster, own: own, others: members.filter { $0.id != own.id })
    }
}
