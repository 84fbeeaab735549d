import Foundation
import MVCC

/// What a member says of its hash, at `/members/hashkv` of its port for members.
///
/// A request there ends after a few seconds, and a walk through a large state takes longer: so the walk goes on by
/// itself, and who asked asks again.
struct PeerHash: Codable, Hashable, Sendable {
    enum State: String, Codable, Sendable {
        /// The hash is here.
        case done
        /// It is being computed: ask again.
        case pending
        /// Another one is being computed: ask again.
        case busy
        /// The member has not got that far: ask again, if it is worth it.
        case behind
        /// It has forgotten that revision.
        case compacted
        /// It has no state to speak of.
        case starting
    }

    var memberID: UInt64
    var state: State
    var hash: UInt32?
    /// What the hash leaves out: the greater of what the member has compacted and what it was asked for.
    var compactRevision: Int64?
    var hashRevision: Int64?

    static let path = "/members/hashkv"

    static func path(_ question: HashDesk.Question) -> String {
        "\(path)?revision=\(question.revision.rawValue)&compacted=\(question.compaction.rawValue)"
    }
}
