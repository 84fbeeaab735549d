import EtcdAPI
import Synchronization

/// Copies what has a prefix to another cluster, then all that happens to it, until it fails or is cancelled.
package struct Mirror: Sendable {
    /// Pairs that are asked for at once.
    static let pageSize: Int64 = 1_000
    /// A transaction is closed when it has so many bytes: etcd takes 1.5 MB.
    static let transactionBytesMax = 1 << 20

    package let source: EtcdClient
    package let destination: EtcdClient
    package var prefix: [UInt8] = []
    /// What stands in the copy instead of the prefix.
    package var destinationPrefix: [UInt8] = []
    /// The revision to begin at, without a copy of what was there before; 0 for a copy of all.
    package var startRevision: Int64 = 0
    package var operationsMax = 128

    package init(from source: EtcdClient, to destination: EtcdClient) {
        self.source = source
        self.destination = destination
    }

    /// - Parameter onCopied: called with each number of keys that has been copied.
    package func run(_ onCopied: @Sendable (Int) -> Void) async throws(ClientError) {
        var revision = startRevision - 1
        if startRevision <= 1 { revision = try await copyAll(onCopied) }
        try await copyChanges(after: revision, onCopied)
    }

    /// Copies what there is, as of one revision, which is returned.
    private func copyAll(_ onCopied: (Int) -> Void) async throws(ClientError) -> Int64 {
        var page = WireRangeRequest<[UInt8]>(key: prefix.isEmpty ? [0] : prefix, rangeEnd: rangeEnd)
        page.limit = Self.pageSize
        while true {
            let answer = try await source.range(page)
            if page.revision == 0 { page.revision = answer.header?.revision ?? 0 }
            try await write(answer.kvs.map { put($0) }, onCopied)
            guard answer.more, let last = answer.kvs.last?.key else { return page.revision }
            page.key = last + [0]
        }
    }

    private func copyChanges(after revision: Int64, _ onCopied: (Int) -> Void) async throws(ClientError) {
        var request = WireWatchCreateRequest<[UInt8]>()
        request.key = prefix.isEmpty ? [0] : prefix
        request.rangeEnd = rangeEnd
        request.startRevision = revision + 1
        let watch = source.watch(request)
        defer { watch.end() }
        while let response = try await watch.next() {
            if let reason = response.cancellation {
                throw EtcdError(message: reason).map { .etcd($0) } ?? .status(.canceled, message: reason)
            }
            // What is of one revision stays together, as far as a transaction holds it.
            var operations: [WireRequestOp<[UInt8]>] = []
            var last: Int64 = 0
            for event in response.events {
                guard let kv = event.kv else { continue }
                if kv.modRevision != last {
                    try await write(operations, onCopied)
                    operations = []
                    last = kv.modRevision
                }
                operations.append(
                    event.isDelete ? .deleteRange(WireDeleteRangeRequest(key: copied(kv.key))) : put(kv))
            }
            try await write(operations, onCopied)
        }
    }

    private var rangeEnd: [UInt8] { prefix.isEmpty ? [0] : KeyPrefix.end(of: prefix) }

    func copied(_ key: [UInt8]) -> [UInt8] { destinationPrefix + key.dropFirst(prefix.count) }

    private func put(_ kv: WireKeyValue<[UInt8]>) -> WireRequestOp<[UInt8]> {
        .put(WirePutRequest(key: copied(kv.key), value: kv.value))
    }

    private func write(_ operations: [WireRequestOp<[UInt8]>], _ onCopied: (Int) -> Void) async throws(ClientError) {
        for batch in Self.batches(operations, operationsMax: operationsMax) {
            _ = try await destination.txn(WireTxnRequest(compare: [], success: batch, failure: []))
            onCopied(batch.count)
        }
    }

    static func batches(_ operations: [WireRequestOp<[UInt8]>], operationsMax: Int) -> [[WireRequestOp<[UInt8]>]] {
        var batches: [[WireRequestOp<[UInt8]>]] = []
        var bytes = 0
        for operation in operations {
            let size = operation.encodedSize
            if let last = batches.last, last.count < operationsMax, bytes + size <= transactionBytesMax {
                batches[batches.count - 1].append(operation)
                bytes += size
            } else {
                batches.append([operation])
                bytes = size
            }
        }
        return batches
    }
}
