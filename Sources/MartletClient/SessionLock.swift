package import EtcdAPI
import Synchronization

/// A lock that one session at a time holds: etcd's recipe, so that it excludes `etcdctl lock` and etcd's Lock service.
///
/// Each who wants it creates a key below the lock's name, bound to his lease; the key that was created first holds the
/// lock, and the others each wait for the one before them.
package final class SessionLock: Sendable {
    package let session: Session
    /// The key that stands for this session.
    package let key: [UInt8]
    private let prefix: [UInt8]

    package init(_ session: Session, name: [UInt8]) {
        self.session = session
        prefix = name + Array("/".utf8)
        key = prefix + Array(GoText.hex(UInt64(bitPattern: session.lease)).utf8)
    }

    /// Waits for the lock. Where it throws, also because the task is cancelled, `release()` takes the key away.
    /// - Returns: the header of the answer that showed that the lock is held.
    package func acquire() async throws(ClientError) -> WireHeader {
        var owner = WireRangeRequest<[UInt8]>(key: prefix, rangeEnd: KeyPrefix.end(of: prefix))
        owner.sortTarget = .create
        owner.sortOrder = .ascend
        owner.limit = 1
        let isNew = WireCompare<[UInt8]>(result: .equal, target: .create, key: key, operand: .createRevision(0))
        let request = WireTxnRequest<[UInt8]>(
            compare: [isNew],
            success: [.put(WirePutRequest(key: key, value: [], lease: session.lease)), .range(owner)],
            failure: [.range(WireRangeRequest(key: key)), .range(owner)])
        let answer = try await session.client.txn(request)
        var revision = answer.header?.revision ?? 0
        if !answer.succeeded, case .range(let mine)? = answer.responses.first, let kv = mine.kvs.first {
            revision = kv.createRevision
        }
        if case .range(let owners)? = answer.responses.last,
            owners.kvs.first.map({ $0.createRevision == revision }) ?? true
        {
            return answer.header ?? WireHeader()
        }
        try await session.client.waitForDeletion(ofPrefix: prefix, createdUpTo: revision - 1)
        let mine = try await session.client.range(WireRangeRequest(key: key))
        guard !mine.kvs.isEmpty else { throw .status(.notFound, message: "mutex: session is expired") }
        return mine.header ?? WireHeader()
    }

    package func release() async throws(ClientError) {
        _ = try await session.client.deleteRange(WireDeleteRangeRequest(key: key))
    }
}
