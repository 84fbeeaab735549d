import MVCC

/// Ordinary keys in which the HTTP API keeps what etcd's keys have no room for. Their layout is described in
/// `Documentation/http-api.md`, and why in decision 0020.
enum ReservedKeys {
    static let root = Array("__martlet/".utf8)
    /// Beside a key: ``KeyNote``.
    static let notes = root + Array("http/note/".utf8)
    /// ``NamedLeases``.
    static let leaseIDs = root + Array("lease/id/".utf8)
    static let leaseNames = root + Array("lease/name/".utf8)
    /// ``RiotBucket``.
    static let buckets = root + Array("riot/bucket/".utf8)
    static let bucketKeys = root + Array("riot/key/".utf8)

    static func holds(_ key: some Collection<UInt8>) -> Bool { key.starts(with: root) }

    /// All keys that begin with a prefix, but for the reserved ones, unless the prefix asks for those.
    static func ranges(ofPrefix prefix: [UInt8]) -> [KeyRange] {
        let all = KeyRange(prefix: prefix)
        guard root.starts(with: prefix), prefix.count < root.count else { return [all] }
        let reserved = KeyRange(prefix: root)
        guard case .upTo(let behind) = reserved.end else { return [all] }
        return [KeyRange(key: all.key, end: .upTo(root)), KeyRange(key: behind, end: all.end)]
    }
}

extension KeyRange {
    /// All keys that begin with these bytes.
    init(prefix: [UInt8]) {
        var end = prefix
        while end.last == 0xff { end.removeLast() }
        guard let last = end.popLast() else {
            // etcd's least key is of one byte.
            self.init(key: prefix.isEmpty ? [0] : prefix, end: .fromKey)
            return
        }
        end.append(last + 1)
        self.init(key: prefix, end: .upTo(end))
    }

    /// The part of it from a key on; nil if that lies behind it.
    func from(_ start: [UInt8]) -> KeyRange? {
        guard precedes(key, start) else { return self }
        switch end {
        case .single: return nil
        case .upTo(let end): return precedes(start, end) ? KeyRange(key: start, end: self.end) : nil
        case .fromKey: return KeyRange(key: start, end: .fromKey)
        }
    }
}
