import RaftCore
import Replica

/// What a member that wants to join sends to `POST /cluster/join` (Documentation/joining.md). Ids are in hexadecimal.
struct JoinQuestion: Codable, Hashable, Sendable {
    var name: String
    var peerURLs: [String]
    /// `--initial-cluster-token`, where it was given.
    var token: String?
    /// What the data directory knows, of one that has begun to join before.
    var clusterID: String?
    var memberID: String?
    /// What the joining member answers at its peer URLs meanwhile: so it is known to be there, and nobody else.
    var nonce: String?
    /// The member, by name or id, whose place it is to take.
    var replaces: String?
}

/// What a member whose address is another one now sends to `POST /cluster/move`.
struct MoveQuestion: Codable, Hashable, Sendable {
    var clusterID: String
    var memberID: String
    var peerURLs: [String]
}

/// What `POST /admin/replace` takes.
struct ReplaceQuestion: Codable, Hashable, Sendable {
    /// By name or id.
    var old: String
    /// How the new one will be called, for the line that it is started with.
    var name: String?
    var peerURLs: [String]
}

/// What has a place in the cluster is told of it.
struct JoinAnswer: Codable, Hashable, Sendable {
    struct Member: Codable, Hashable, Sendable {
        var id: String
        /// Empty: it was added, and has not started yet.
        var name: String
        var peerURLs: [String]
        var clientURLs: [String]
        var isLearner: Bool
    }

    var clusterID: String
    /// Who was asked for.
    var memberID: String
    var members: [Member]
    /// As `--initial-cluster` has it.
    var initialCluster: String

    /// - Parameter name: how the member that was asked for is called; until it has started, only it knows.
    init(_ view: ReplicaView, member: NodeID, name: String) {
        clusterID = hex(view.clusterID)
        memberID = hex(member.rawValue)
        members = view.members.map { each in
            Member(
                id: hex(each.id.rawValue), name: each.name, peerURLs: each.peerURLs, clientURLs: each.clientURLs,
                isLearner: view.configuration.learners.contains(each.id))
        }
        initialCluster = Self.initialCluster(view.members, member: member, name: name)
    }

    /// A member without a name stands under its id.
    static func initialCluster(_ members: [Replica.Member], member: NodeID, name: String) -> String {
        members.flatMap { each in
            let known = each.id == member && !name.isEmpty ? name : each.name
            return each.peerURLs.map { "\(known.isEmpty ? hex(each.id.rawValue) : known)=\($0)" }
        }.joined(separator: ",")
    }
}

/// How far a replacement is.
struct ReplaceAnswer: Codable, Hashable, Sendable {
    enum State: String, Codable, Sendable {
        /// The new member is a learner now, and is to be started.
        case added
        /// It has not caught up.
        case waiting
        case replaced
    }

    var state: State
    var memberID: String
    /// What is waited for.
    var reason: String?
    var initialCluster: String
}

/// Why there is no place, or no change.
struct JoinRefusal: Error, Hashable, Sendable {
    enum Code: String, Codable, Sendable {
        case badRequest = "bad-request"
        case noLeader = "no-leader"
        case notReady = "not-ready"
        case tooManyLearners = "too-many-learners"
        case otherCluster = "other-cluster"
        case nameInUse = "name-in-use"
        case addressInUse = "address-in-use"
        case startedBefore = "started-before"
        case removed
        case unknownMember = "unknown-member"
        case unreachable
        case quorum
        case refused
    }

    /// What goes over the wire.
    struct Body: Codable, Hashable, Sendable {
        var error: String
        var code: Code
    }

    var code: Code
    var sentence: String

    init(_ code: Code, _ sentence: String) {
        self.code = code
        self.sentence = sentence
    }

    var body: Body { Body(error: sentence, code: code) }

    var status: Int {
        switch code {
        case .badRequest: 400
        case .unknownMember: 404
        case .unreachable: 422
        // It may be otherwise in a moment: ask again.
        case .noLeader, .notReady, .tooManyLearners: 503
        case .otherCluster, .nameInUse, .addressInUse, .startedBefore, .removed, .quorum, .refused: 409
        }
    }

    static let retryAfterSeconds = 1
}

/// What somebody says of itself at its peer URLs, at ``path``: a member who it is, one that is joining its nonce.
struct PeerSelf: Codable, Hashable, Sendable {
    static let path = "/martlet/self"

    var clusterID: String?
    var memberID: String?
    var nonce: String?
}
