import Foundation
import Logging
import NIOCore
import PeerTransport
import RaftCore
import Replica

/// Finds the cluster that a member is to join, and its place in it.
protocol ClusterFinding {
    /// - Parameter isPrepared: whether this member has begun to join before. Otherwise one that has told its name is
    ///   another one, or has lost its data.
    func find(isPrepared: Bool) throws(ConfigurationError) -> ClusterJoin.Found
}

/// How a member finds the cluster that it was added to: it asks those of `--initial-cluster`, at their peer ports, for
/// the cluster's id and its members, and finds itself among them by its peer URLs.
///
/// One answer suffices. A member that lags behind may not know of the new one yet, so all are asked before it is said
/// that somebody has to add it first.
struct ClusterJoin: ClusterFinding {
    /// What was found.
    struct Found: Equatable {
        var clusterID: UInt64
        var own: PeerMember
        var others: [PeerMember]
    }

    /// Why an answer is not the one that is looked for.
    private enum Objection {
        case notAMember(String)
        case other(String)

        var sentence: String {
            switch self {
            case .notAMember(let sentence), .other(let sentence): sentence
            }
        }
    }

    let configuration: ServerConfiguration
    let logger: Logger
    /// Asks one member; tests answer by themselves.
    var get: (ServerURL) -> Result<HTTPAsk.Answer, HTTPAsk.Failure> = { url in
        Result { () throws(HTTPAsk.Failure) in try HTTPAsk.ask(url, .init(path: "/members"), timeout: .seconds(2)) }
    }
    var pause: () -> Void = { Thread.sleep(forTimeInterval: 0.5) }

    /// Rounds in which nobody answers. They take a quarter of a minute to a minute, for members that start together.
    static let roundsMax = 30
    /// Rounds in which somebody answers, and nobody knows this member.
    static let roundsUnknownMax = 3

    func find(isPrepared: Bool) throws(ConfigurationError) -> Found {
        let name = configuration.name
        let peers = configuration.initialCluster.members.filter { $0.name != name }
        guard !peers.isEmpty else {
            throw ConfigurationError(
                "--initial-cluster-state existing: --initial-cluster names nobody besides \(name), so there is nobody "
                    + "to ask for the cluster; name its members as martlet member list shows them")
        }
        var lastObjection: Objection?
        var failures: [String] = []
        var unknownRounds = 0
        for round in 1...Self.roundsMax {
            if round > 1 { pause() }
            failures = []
            var objection: Objection?
            for peer in peers {
                for url in peer.peerURLs {
                    switch get(url) {
                    case .failure(let failure):
                        failures.append("\(url): \(failure)")
                        logger.info(
                            "a member of the cluster to join does not answer",
                            metadata: ["peer-url": "\(url)", "reason": "\(failure)", "round": "\(round)"])
                    case .success(let answer):
                        switch read(answer, of: url, isPrepared: isPrepared) {
                        case .success(let found):
                            logger.info(
                                "found the cluster to join",
                                metadata: [
                                    "peer-url": "\(url)", "cluster-id": "\(hex(found.clusterID))",
                                    "member-id": "\(hex(found.own.id))", "members": "\(found.others.count + 1)",
                                ])
                            return found
                        case .failure(let refusal): objection = refusal.objection
                        }
                    }
                }
            }
            guard let objection else { continue }
            lastObjection = objection
            guard case .notAMember = objection else { throw ConfigurationError(objection.sentence) }
            unknownRounds += 1
            if unknownRounds == Self.roundsUnknownMax { throw ConfigurationError(objection.sentence) }
        }
        throw ConfigurationError(
            lastObjection?.sentence
                ?? "--initial-cluster-state existing: no member of the cluster answers ("
                + failures.joined(separator: "; ")
                + "); check that --initial-cluster has their peer URLs, and that they run")
    }

    private struct Refusal: Error { var objection: Objection }

    private func read(_ answer: HTTPAsk.Answer, of url: ServerURL, isPrepared: Bool) -> Result<Found, Refusal> {
        func refuse(_ sentence: String) -> Result<Found, Refusal> { .failure(Refusal(objection: .other(sentence))) }
        guard answer.status == 200, let header = answer[PeerRoutes.clusterIDHeader],
            let clusterID = UInt64(header, radix: 16)
        else {
            return refuse(
                "\(url) answers, but not as a member of a cluster (HTTP status \(answer.status)); check that "
                    + "--initial-cluster has the members' peer URLs, not those for clients")
        }
        let members: [PeerMember]
        do {
            members = try JSONDecoder().decode([PeerMember].self, from: Data(answer.body))
        } catch {
            return refuse("\(url) answers with a list of members that cannot be read: \(error)")
        }
        let own = Set(configuration.initialAdvertisePeerURLs.map(\.description))
        let list = members.map { "\($0.name ?? hex($0.id)) at \($0.peerURLs.joined(separator: ","))" }
            .joined(separator: "; ")
        guard let member = members.first(where: { Set($0.peerURLs) == own }) else {
            if let near = members.first(where: { !own.isDisjoint(with: $0.peerURLs) }) {
                return refuse(
                    "--initial-advertise-peer-urls is \(own.sorted().joined(separator: ",")), but the cluster "
                        + "\(hex(clusterID)) has member \(hex(near.id)) at \(near.peerURLs.joined(separator: ",")); "
                        + "both must name the same URLs")
            }
            let sentence =
                "no member of the cluster \(hex(clusterID)) has the peer URLs \(own.sorted().joined(separator: ",")) "
                + "(its members: \(list)); add this one first: martlet member add \(configuration.name) --peer-urls "
                + own.sorted().joined(separator: ",")
            return .failure(Refusal(objection: .notAMember(sentence)))
        }
        for named in configuration.initialCluster.members where named.name != configuration.name {
            let urls = Set(named.peerURLs.map(\.description))
            guard members.contains(where: { Set($0.peerURLs) == urls }) else {
                return refuse(
                    "--initial-cluster has \(named.name) at \(urls.sorted().joined(separator: ",")), where the cluster "
                        + "\(hex(clusterID)) has no member (its members: \(list)); use the line that martlet member "
                        + "add printed")
            }
        }
        guard isPrepared || (member.name ?? "").isEmpty else {
            return refuse(
                "member \(hex(member.id)) of the cluster \(hex(clusterID)) has been started before, as "
                    + "\"\(member.name ?? "")\", and the data directory \(configuration.dataDirectory) is empty; start "
                    + "it with its own data directory, or, where that is lost, remove the member and add it again: "
                    + "martlet member remove \(hex(member.id))")
        }
        return .success(Found(clusterID: clusterID, own: member, others: members.filter { $0.id != member.id }))
    }
}

extension ClusterJoin.Found {
    /// Where the others are.
    var addresses: [PeerAddress] {
        others.map { member in
            MemberRoster.address(
                of: .init(id: NodeID(member.id), name: "", peerURLs: member.peerURLs, clientURLs: []))
        }
    }
}
