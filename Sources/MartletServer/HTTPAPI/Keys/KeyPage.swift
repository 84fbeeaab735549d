import Foundation
import MVCC
import NIOCore

/// A part of a list of keys: from where, at which revision, and how much of it.
struct KeyPage: Hashable, Sendable {
    var prefix: [UInt8]
    /// Of the page before: all pages of a list are of one revision.
    var place: Place?
    /// Where a list begins: zero is the newest.
    var revision: Int64
    var limit: Int
    var keysOnly: Bool

    /// Where the next page begins.
    struct Place: Hashable, Sendable {
        var revision: Int64
        var key: [UInt8]

        /// Opaque for clients: the revision, big-endian, and the key, in Base64 for URLs.
        var token: String {
            var bytes = Data(count: 8)
            for place in 0..<8 { bytes[place] = UInt8(truncatingIfNeeded: revision >> (56 - 8 * Int64(place))) }
            bytes.append(contentsOf: key)
            return bytes.base64EncodedString().replacingOccurrences(of: "+", with: "-")
                .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
        }

        init(revision: Int64, key: [UInt8]) {
            self.revision = revision
            self.key = key
        }

        /// nil: no page ended like this.
        init?(token: String) {
            var text = token.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
            text += String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
            guard let bytes = Data(base64Encoded: text), bytes.count > 8 else { return nil }
            revision = bytes.prefix(8).reduce(0) { $0 << 8 | Int64($1) }
            key = Array(bytes.dropFirst(8))
            guard revision > 0 else { return nil }
        }
    }

    init(prefix: [UInt8], items: QueryItems, limits: HTTPAPILimits) throws(APIError) {
        self.prefix = prefix
        keysOnly = try items.flag("keys")
        limit = Int(
            try items.number("limit", from: 1, to: Int64(limits.keysPerPageMax)) ?? Int64(limits.keysPerPageDefault))
        revision = try items.number("rev", from: 0, to: .max) ?? 0
        if let token = try items.text("continue") {
            guard let place = Place(token: token), place.key.starts(with: prefix) else {
                throw .badRequest("continue is none that a list of this prefix ended with")
            }
            guard revision == 0 || revision == place.revision else {
                throw .badRequest("a list that is continued stays at its revision: leave rev out")
            }
            self.place = place
            revision = place.revision
        }
    }

    /// `{"revision":…,"keys":[…],"continue":…}`; the last only where there is more.
    func read(in view: ReadView, limits: HTTPAPILimits) throws(ReadError) -> JSONBuffer {
        let at = revision == 0 ? view.revision : Revision(revision)
        var json = JSONBuffer(capacity: 4096)
        json.raw("{\"revision\":\(at.rawValue),\"keys\":[")
        var count = 0
        var next: [UInt8]?
        for range in ReservedKeys.ranges(ofPrefix: prefix) where next == nil {
            guard let rest = place.map({ range.from($0.key) }) ?? range else { continue }
            try view.forEachPair(in: rest, at: at) { pair in
                if count == limit || count > 0 && json.count + pair.value.count > limits.pageBytesMax {
                    next = Array(pair.key)
                    return false
                }
                if count > 0 { json.raw(",") }
                json.pair(pair, withValue: !keysOnly)
                count += 1
                return true
            }
        }
        json.raw("]")
        if let next { json.raw(",\"continue\":\"\(Place(revision: at.rawValue, key: next).token)\"") }
        json.raw("}\n")
        return json
    }
}
