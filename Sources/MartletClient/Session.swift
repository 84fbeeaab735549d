import EtcdAPI
import Synchronization

/// A lease that is kept alive: what is bound to it lives as long as the session does, and not longer than its time to
/// live when the session's process dies.
package final class Session: Sendable {
    package let client: EtcdClient
    package let lease: Int64
    private let keeping: Task<Void, Never>

    private init(_ client: EtcdClient, lease: Int64) {
        self.client = client
        self.lease = lease
        let keeper = LeaseKeeper(client, lease)
        keeping = Task {
            // What fails for good ends it, as an expired lease does.
            while let answer = try? await keeper.next(), answer.ttl > 0 {}
            keeper.end()
        }
    }

    /// - Parameter ttl: in seconds.
    package static func open(_ client: EtcdClient, ttl: Int64) async throws(ClientError) -> Session {
        Session(client, lease: try await client.leaseGrant(ttl: ttl).id)
    }

    /// Returns when the lease is gone, or the session was closed.
    package func waitForEnd() async { await keeping.value }

    /// Ends the lease, and with it all keys that are bound to it.
    package func close() async {
        keeping.cancel()
        // Where this fails, the lease ends by itself.
        _ = try? await client.leaseRevoke(lease)
    }
}

extension EtcdClient {
    /// Waits until there is no key with this prefix that was created at the revision or before it: until nobody is
    /// before us in the queue. It watches one key only, the one just before: no herd wakes up when the first leaves.
    func waitForDeletion(ofPrefix prefix: [UInt8], createdUpTo revision: Int64) async throws(ClientError) {
        while true {
            var newest = WireRangeRequest<[UInt8]>(key: prefix, rangeEnd: KeyPrefix.end(of: prefix))
            newest.sortTarget = .create
            newest.sortOrder = .descend
            newest.limit = 1
            newest.maxCreateRevision = revision
            let before = try await range(newest)
            guard let key = before.kvs.first?.key else { return }
            var request = WireWatchCreateRequest<[UInt8]>()
            request.key = key
            request.startRevision = before.header?.revision ?? 0
            let watch = watch(request)
            defer { watch.end() }
            // A watch that the server cancels (its revision was compacted) is looked after by asking again.
            while let response = try await watch.next(), !response.events.contains(where: \.isDelete) {}
        }
    }
}
