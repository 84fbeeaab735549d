import MVCC

/// What a put over HTTP says beside key and value: the type of its content, and the lease that was granted for this
/// key alone.
///
/// It is the value of a key of its own, written in the same transaction, attached to the same lease. It counts only
/// while both keys have the same mod revision: a put of anybody else ends it, without knowing of it (decision 0020).
struct KeyNote: Hashable, Sendable {
    var contentType: String?
    var ownLease = LeaseID.none

    static func key(of key: [UInt8]) -> [UInt8] { ReservedKeys.notes + key }

    /// Nothing to keep: then there is no note.
    var isEmpty: Bool { contentType == nil && ownLease == .none }

    /// A line for the type; behind it, if there is one, the lease.
    var encoded: [UInt8] {
        var bytes = Array((contentType ?? "").utf8)
        if ownLease != .none { bytes += Array("\nlease \(ownLease.rawValue)".utf8) }
        return bytes
    }

    /// Anybody may write such a key: what is no type or no lease is none.
    init(decoding bytes: some Collection<UInt8>) {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: false)
        if let line = lines.first, let type = Self.contentType(line) { contentType = type }
        let mark = Array("lease ".utf8)
        if lines.count > 1, lines[1].starts(with: mark),
            let id = QueryItems.number(lines[1].dropFirst(mark.count)), id > 0
        {
            ownLease = LeaseID(id)
        }
    }

    init(contentType: String? = nil, ownLease: LeaseID = .none) {
        self.contentType = contentType
        self.ownLease = ownLease
    }

    /// Nothing that could end the line of a header: printable ASCII.
    private static func contentType(
        _ bytes: some Collection<UInt8>, bytesMax: Int = HTTPAPILimits().contentTypeBytesMax
    ) -> String? {
        guard (1...bytesMax).contains(bytes.count), bytes.contains(UInt8(ascii: "/")),
            bytes.allSatisfy({ (0x20...0x7e).contains($0) })
        else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The type that is kept of what a request says. `application/octet-stream` is what a value without a type is given
    /// back as, and `application/x-www-form-urlencoded` is what curl says of any `-d`, whatever it is: neither is kept.
    static func keptType(of request: PlainRequest) throws(APIError) -> String? {
        guard let said = request.field("content-type"), !said.isEmpty else { return nil }
        guard let type = contentType(said.utf8) else {
            throw .badRequest("content-type is not a media type, like image/png")
        }
        let name = type.lowercased().prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" }
        return name == unknownType || name == "application/x-www-form-urlencoded" ? nil : type
    }

    static let unknownType = "application/octet-stream"
}
