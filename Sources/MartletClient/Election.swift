package import EtcdAPI
import Synchronization

/// An election among sessions: etcd's recipe, so that `etcdctl elect` and etcd's Election service see the same leader.
///
/// It is the lock's queue with a value in each key: the candidate whose key was created first leads, and its value says
/// who it is.
package final class Election: Sendable {
    package let session: Session
    package let key: [UInt8]
    private let prefix: [UInt8]
    /// When our key was created; 0 for not yet.
    private let revision = Mutex<Int64>(0)

    package init(_ session: Session, name: [UInt8]) {
        self.session = session
        prefix = Self.prefix(of: name)
        key = prefix + Array(GoText.hex(UInt64(bitPattern: session.lease)).utf8)
    }

    private static func prefix(of name: [UInt8]) -> [UInt8] { name + Array("/".utf8) }

    /// Stands for election, and returns when it is won. Where it throws, also because the task is cancelled,
    /// `resign()` takes the candidacy back.
    package func campaign(_ value: [UInt8]) async throws(ClientError) {
        let isNew = WireCompare<[UInt8]>(result: .equal, target: .create, key: key, operand: .createRevision(0))
        let request = WireTxnRequest<[UInt8]>(
            compare: [isNew], success: [.put(WirePutRequest(key: key, value: value, lease: session.lease))],
            failure: [.range(WireRangeRequest(key: key))])
        let answer = try await session.client.txn(request)
        var created = answer.header?.revision ?? 0
        if !answer.succeeded, case .range(let mine)? = answer.responses.first, let kv = mine.kvs.first {
            created = kv.createRevision
        }
        revision.withLock { $0 = created }
        try await session.client.waitForDeletion(ofPrefix: prefix, createdUpTo: created - 1)
    }

    /// Gives the leadership, or the candidacy, back.
    package func resign() async throws(ClientError) {
        let created = revision.withLock { $0 }
        guard created != 0 else { return }
        let isOurs = WireCompare<[UInt8]>(
            result: .equal, target: .create, key: key, operand: .createRevision(created))
        _ = try await session.client.txn(
            WireTxnRequest(compare: [isOurs], success: [.deleteRange(WireDeleteRangeRequest(key: key))], failure: []))
    }

    /// Tells who leads, now and whenever that changes, until it throws, as it does when the task is cancelled. Not each
    /// leader in between needs to be seen, the newest always is.
    package static func observe(
        _ client: EtcdClient, name: [UInt8], _ onLeader: (WireRangeResponse<[UInt8]>) throws(ClientError) -> Void
    ) async throws(ClientError) {
        let prefix = prefix(of: name)
        while true {
            var first = WireRangeRequest<[UInt8]>(key: prefix, rangeEnd: KeyPrefix.end(of: prefix))
            first.sortTarget = .create
            first.sortOrder = .ascend
            first.limit = 1
            let answer = try await client.range(first)
            var header = answer.header ?? WireHeader()
            let leader: WireKeyValue<[UInt8]>
            if let kv = answer.kvs.first {
                leader = kv
            } else {
                guard let (seen, kv) = try await firstPut(client, prefix, after: header.revision) else { continue }
                header = seen
                leader = kv
            }
            var report = WireRangeResponse<[UInt8]>()
            report.header = header
            report.kvs = [leader]
            try onLeader(report)
            try await follow(client, leader.key, after: header.revision, onLeader)
        }
    }

    private static func firstPut(
        _ client: EtcdClient, _ prefix: [UInt8], after revision: Int64
    ) async throws(ClientError) -> (WireHeader, WireKeyValue<[UInt8]>)? {
        var request = WireWatchCreateRequest<[UInt8]>()
        request.key = prefix
        request.rangeEnd = KeyPrefix.end(of: prefix)
        request.startRevision = revision
        let watch = client.watch(request)
        defer { watch.end() }
        while let response = try await watch.next() {
            guard let kv = response.events.first(where: { !$0.isDelete })?.kv else { continue }
            var header = response.header ?? WireHeader()
            header.revision = kv.modRevision
            return (header, kv)
        }
        return nil
    }

    /// Reports new values of the leader's key until it is deleted.
    private static func follow(
        _ client: EtcdClient, _ key: [UInt8], after revision: Int64,
        _ onLeader: (WireRangeResponse<[UInt8]>) throws(ClientError) -> Void
    ) async throws(ClientError) {
        var request = WireWatchCreateRequest<[UInt8]>()
        request.key = key
        request.startRevision = revision + 1
        let watch = client.watch(request)
        defer { watch.end() }
        while let response = try await watch.next() {
            for event in response.events {
                guard !event.isDelete, let kv = event.kv else { return }
                var report = WireRangeResponse<[UInt8]>()
                report.header = response.header
                report.kvs = [kv]
                try onLeader(report)
            }
        }
    }
}
