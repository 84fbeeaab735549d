import EtcdAPI
import MartletClient
import RaftSimulation

/// Every version of every key, as one member holds them: what the cluster says has happened.
struct StoredHistory {
    /// By revision: what was written at it.
    private(set) var writes: [Int64: [KeyedValue]] = [:]
    let revision: Int64

    private struct Link: Sendable {
        var key: [UInt8]
        /// The newest revision at which the version may have been written.
        var revision: Int64
        /// The version that must be found; nil: any.
        var version: Int64?
    }

    /// Follows each key's versions back from `revision` to its first.
    init(from client: EtcdClient, at revision: Int64) async throws {
        self.revision = revision
        var all = WireRangeRequest<[UInt8]>(key: [0], rangeEnd: [0])
        all.revision = revision
        all.serializable = true
        all.keysOnly = true
        var links = try await client.range(all).kvs.map { Link(key: $0.key, revision: revision) }
        while !links.isEmpty {
            var next: [Link] = []
            for start in stride(from: 0, to: links.count, by: Self.operationsMax) {
                let batch = Array(links[start..<min(start + Self.operationsMax, links.count)])
                next += try await follow(batch, with: client)
            }
            links = next
        }
    }

    /// etcd's default for `--max-txn-ops`.
    private static let operationsMax = 128

    private mutating func follow(_ links: [Link], with client: EtcdClient) async throws -> [Link] {
        let ranges = links.map { link in
            var range = WireRangeRequest<[UInt8]>(key: link.key)
            range.revision = link.revision
            range.serializable = true
            return WireRequestOp<[UInt8]>.range(range)
        }
        let answer = try await client.txn(WireTxnRequest(compare: [], success: ranges, failure: []))
        guard answer.responses.count == links.count else { throw ClusterFailure("answers are missing") }
        var next: [Link] = []
        for (link, response) in zip(links, answer.responses) {
            let name = String(decoding: link.key, as: UTF8.self)
            guard case .range(let range) = response, range.kvs.count == 1, let pair = range.kvs.first,
                pair.key == link.key
            else { throw ClusterFailure("\(name) has no version at \(link.revision), but later ones") }
            if let version = link.version, pair.version != version {
                throw ClusterFailure(
                    "\(name) has version \(pair.version) at revision \(link.revision), and next \(version + 1)")
            }
            let write = KeyedValue(
                key: try HistoryKeys.key(named: pair.key), value: try HistoryKeys.decode(pair.value))
            writes[pair.modRevision, default: []].append(write)
            if pair.version > 1 {
                next.append(Link(key: link.key, revision: pair.modRevision - 1, version: pair.version - 1))
            }
        }
        return next
    }

    /// In order, without a gap.
    func applied() throws -> [RevisionChecker.AppliedWrite] {
        try (2...max(2, revision)).filter { $0 <= revision }.map { revision in
            guard let writes = writes[revision] else {
                throw ClusterFailure("nothing is stored that was written at revision \(revision)")
            }
            return RevisionChecker.AppliedWrite(comparison: nil, writes: writes)
        }
    }

    /// The history with what the store knows of writes whose answers were lost: where they happened, or that they did
    /// not.
    func resolving(_ history: [HistoryOperation]) throws -> [HistoryOperation] {
        var revisionOfValue: [Int: Int64] = [:]
        for (revision, writes) in writes { for write in writes { revisionOfValue[write.value] = revision } }
        return history.compactMap { operation in
            guard operation.outcome == nil else { return operation }
            var resolved = operation
            switch operation.action {
            case .read: return nil
            case .write(_, let value):
                resolved.revision = revisionOfValue[value]
                resolved.outcome = .done
            case .compareAndWrite(_, _, let writes):
                resolved.revision = revisionOfValue[writes[0].value]
                resolved.outcome = .compared(true)
            }
            return resolved.revision == nil ? nil : resolved
        }
    }
}
