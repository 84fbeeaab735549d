import EtcdAPI
import HTTP2
import MVCC
import NIOCore
import Raft
import Replica

/// `Observe`: every value that a leader of the election announces, and every new leader, in order (O2). Who reads
/// slowly is told later, from history, but of all of them.
final class LeaderObserver: GRPCStreamReceiver, OpenWait {
    private let call: GRPCCall
    private let context: ServiceContext
    private let watches: LoopWatches
    private var prefix: QueuePrefix?
    private var watch: KeyWatch?
    private var isOver = false

    init(_ call: GRPCCall, _ context: ServiceContext, _ watches: LoopWatches) {
        self.call = call
        self.context = context
        self.watches = watches
        watches.add(self)
    }

    var needsLeader: Bool { false }

    // MARK: The call

    func onMessage(_ message: ByteBuffer) {
        guard prefix == nil, !isOver else { return }
        guard let request: V3electionpb_LeaderRequest = call.decode(message) else { return letGo() }
        prefix = QueuePrefix(name: request.name)
        look()
    }

    func onHalfClose() {
        if prefix == nil { end(GRPCStatus(.internalError, "received no request message for a call that takes one")) }
    }

    func onCancel() { letGo() }

    func end(_ status: GRPCStatus) {
        guard !isOver else { return }
        letGo()
        call.finish(status)
    }

    private func letGo() {
        isOver = true
        watches.remove(self)
        watch?.stop()
        watch = nil
    }

    // MARK: The leaders

    private func look() {
        guard let prefix else { return }
        context.requests(on: call.eventLoop).read { [self] result in
            guard !isOver else { return }
            switch result {
            case .failure(let failure): end(GRPCStatus(failure))
            case .success(let view):
                do throws(ReadError) {
                    let now = view.store.revision
                    if let leader = try view.store.range(prefix.first).keyValues.first {
                        send(leader, at: now)
                        follow(leader.key, after: now)
                    } else {
                        awaitFirst(in: prefix, after: now)
                    }
                } catch {
                    end(context.status(of: error))
                }
            }
        }
    }

    /// Nobody is in the line: the next who comes leads.
    private func awaitFirst(in prefix: QueuePrefix, after revision: Revision) {
        watch(prefix.range, after: revision, ignoresDeletes: true) { [self] events, _ in
            guard let leader = events.first?.pair else { return }
            stopWatch()
            // What came behind it in the same answer is looked for again, from there on.
            send(leader, at: leader.modRevision)
            follow(leader.key, after: leader.modRevision)
        }
    }

    /// All that this leader says, until it goes.
    private func follow(_ key: [UInt8], after revision: Revision) {
        watch(KeyRange(key: key), after: revision, ignoresDeletes: false) { [self] events, through in
            for event in events {
                guard !event.isDelete, let pair = event.pair else {
                    stopWatch()
                    return look()
                }
                send(pair, at: through)
            }
        }
    }

    private func watch(
        _ range: KeyRange, after revision: Revision, ignoresDeletes: Bool,
        _ handler: @escaping ([WireEvent<[UInt8]>], Revision) -> Void
    ) {
        var request = WatchRequest(range)
        request.start = Revision(revision.rawValue + 1)
        request.ignoresDeletes = ignoresDeletes
        watch = KeyWatch(request, for: call, watches) { [self] happening in
            switch happening {
            case .events(let events, let through): handler(events, through)
            case .gone:
                stopWatch()
                look()
            }
        }
    }

    private func stopWatch() {
        watch?.stop()
        watch = nil
    }

    private func send(_ pair: KeyValue, at revision: Revision) {
        let header = Etcdserverpb_ResponseHeader(context.header(revision: revision.rawValue))
        call.send(serializing: V3electionpb_LeaderResponse(header, pair))
    }
}

extension WireEvent where Bytes == [UInt8] {
    fileprivate var pair: KeyValue? {
        guard let kv else { return nil }
        return KeyValue(
            key: kv.key, createRevision: Revision(kv.createRevision), modRevision: Revision(kv.modRevision),
            version: kv.version, value: kv.value, lease: LeaseID(kv.lease))
    }
}
