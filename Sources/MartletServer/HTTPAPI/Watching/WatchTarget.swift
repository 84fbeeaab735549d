import MVCC
import Replica

/// What somebody waits for: a key, or all below a prefix, after a revision.
struct WatchTarget: Sendable {
    var key: [UInt8]
    var isPrefix: Bool
    var keysOnly = false
    /// Events of later revisions count; nil: those from now on.
    var after: Int64?

    /// Events of what is reserved are told to who asks for it by name.
    var hidesReserved: Bool { isPrefix && !ReservedKeys.holds(key) }

    func request(after revision: Int64) -> WatchRequest {
        var request = WatchRequest(isPrefix ? KeyRange(prefix: key) : KeyRange(key: key))
        request.start = Revision(revision + 1)
        return request
    }

    static func compacted(_ revision: Revision) -> APIError {
        APIError(
            410, "compacted",
            "what happened before revision \(revision.rawValue) has been compacted: read the keys again, and go on "
                + "from the revision of that answer",
            fields: [("x-martlet-compact-revision", "\(revision.rawValue)")])
    }
}
