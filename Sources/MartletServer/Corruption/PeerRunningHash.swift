import MVCC
import NIOHTTP1
import RaftCore
import Replica

/// What a member says of its running hash after one entry, at `/members/runninghash` of its port for members.
struct PeerRunningHash: Codable, Hashable, Sendable {
    enum State: String, Codable, Sendable {
        case done
        /// The member has not got that far: ask again, if it is worth it.
        case behind
        /// It applied that entry too long ago, or never by itself.
        case forgotten
    }

    var memberID: UInt64
    var state: State
    var hash: UInt32?
    /// The entry after which the hash began.
    var since: UInt64?

    static let path = "/members/runninghash"

    static func path(after index: LogIndex) -> String { "\(path)?index=\(index.rawValue)" }

    init(memberID: UInt64, _ answer: RunningHashes.Answer) {
        self.memberID = memberID
        switch answer {
        case .hash(let hash):
            state = .done
            self.hash = hash.value
            since = hash.since
        case .behind: state = .behind
        case .forgotten: state = .forgotten
        }
    }
}
