import EtcdAPI
import HTTP2
import MVCC
import NIOCore
import Replica

/// One open watch stream.
final class WatchCall: GRPCStreamReceiver, WatchOutlet, OpenWait {
    private let call: GRPCCall
    let watches: LoopWatches
    /// Nil once the stream has ended.
    private var stream: WatchStream?
    /// The client wants to hear when there is no leader (A13).
    var needsLeader = false
    private var progressTimer: RepeatedTask?

    // What happens when the client has read what waits for it.
    private var drained: (() -> Void)?
    private var awaitsDrain = false
    private var isPaused = false

    init(_ call: GRPCCall, _ watches: LoopWatches) {
        self.call = call
        self.watches = watches
        stream = watches.loop.open(self)
        watches.add(self)
    }

    // MARK: Requests

    func onMessage(_ message: ByteBuffer) {
        guard let stream else { return }
        do {
            try message.withUnsafeReadableBytes { bytes in
                switch try WatchRequestView(decoding: bytes) {
                case .create(let request): create(WatchRequest(request), on: stream)
                case .cancel(let id): watches.loop.cancel(id, on: stream)
                case .progress: watches.loop.requestProgress(stream)
                // As in etcd: a request of a kind that is not known here harms nobody.
                case .none: break
                }
            }
        } catch {
            return end(.undecodable(error))
        }
        holdBackIfUnread()
    }

    private func create(_ request: WatchRequest, on stream: WatchStream) {
        watches.loop.create(request, on: stream)
        guard request.wantsProgress, progressTimer == nil else { return }
        let interval = watches.options.progressInterval
        let jitter = TimeAmount.nanoseconds(.random(in: 0...max(1, interval.nanoseconds / 10)))
        let held = NIOLoopBound(self, eventLoop: call.eventLoop)
        progressTimer = call.eventLoop.scheduleRepeatedTask(
            initialDelay: interval + jitter, delay: interval + jitter
        ) { _ in held.value.reportProgress() }
    }

    private func reportProgress() {
        if let stream { watches.loop.reportProgress(stream) }
    }

    /// The client will ask for nothing more, and goes on listening: so does the gateway.
    func onHalfClose() {}

    func onCancel() { letGo() }

    func end(_ status: GRPCStatus) {
        guard stream != nil else { return }
        letGo()
        call.finish(status)
    }

    private func letGo() {
        guard let stream else { return }
        self.stream = nil
        watches.remove(self)
        progressTimer?.cancel()
        progressTimer = nil
        drained = nil
        watches.loop.close(stream)
    }

    // MARK: A client that does not read

    var pendingBytes: Int { call.pendingBytes }

    func whenPendingBytes(atMost bytes: Int, _ body: @escaping () -> Void) {
        drained = body
        awaitDrain(atMost: bytes)
    }

    /// Who does not read his answers is not heard either, or he could fill the memory with answers to his requests.
    private func holdBackIfUnread() {
        guard !isPaused, call.pendingBytes > watches.options.limits.streamPendingBytesMax else { return }
        isPaused = true
        call.pauseReading()
        awaitDrain(atMost: watches.options.limits.drainedBytes)
    }

    private func awaitDrain(atMost bytes: Int) {
        guard !awaitsDrain else { return }
        awaitsDrain = true
        call.whenPendingBytes(atMost: bytes) { [weak self] in self?.hasDrained() }
    }

    private func hasDrained() {
        awaitsDrain = false
        if isPaused {
            isPaused = false
            call.resumeReading()
        }
        let body = drained
        drained = nil
        body?()
    }

    // MARK: Responses

    func send(_ notice: WatchNotice, at revision: Revision) {
        guard stream != nil else { return }
        var response = WireWatchResponse<[UInt8]>(
            header: watches.context.header(revision: revision.rawValue), watchID: -1)
        switch notice {
        case .created(let id):
            response.watchID = id
            response.created = true
        case .refused(let reason):
            response.created = true
            response.canceled = true
            response.cancelReason = reason.text
        case .cancelled(let id):
            response.watchID = id
            response.canceled = true
        case .compacted(let id, let compactRevision):
            response.watchID = id
            response.canceled = true
            response.compactRevision = compactRevision.rawValue
        case .progress(let id): response.watchID = id
        case .progressOfAll: break
        }
        call.send(encoding: response)
    }

    /// Smaller than this, events are copied to each stream; larger ones wait on all streams as one copy.
    private static let sharedBytesMin = 16 << 10

    func send(_ events: WatchEventBytes, to id: Int64, at revision: Revision, isFragment: Bool) {
        guard stream != nil else { return }
        var head = WireWatchResponse<[UInt8]>(
            header: watches.context.header(revision: revision.rawValue), watchID: id)
        head.fragment = isFragment
        if events.byteCount < Self.sharedBytesMin {
            let size = head.encodedSize + events.byteCount
            call.send { buffer in
                buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { memory in
                    var writer = WireWriter(memory)
                    head.encode(into: &writer)
                    for piece in events.pieces {
                        writer.append(raw: UnsafeRawBufferPointer(rebasing: events.arena[piece]))
                    }
                    return writer.count
                }
            }
        } else {
            var parts = [ByteBuffer(bytes: head.encoded())]
            for piece in events.pieces { parts.append(watches.share(piece, of: events)) }
            call.send(parts: parts)
        }
    }
}

extension WatchRequest {
    init(_ wire: WatchCreateRequestView) {
        // A watch of no key is one of the smallest (K2).
        self.init(KeyRange(key: wire.key.isEmpty ? [0] : Array(wire.key), rangeEnd: Array(wire.rangeEnd)))
        start = Revision(wire.startRevision)
        id = wire.watchID
        ignoresPuts = wire.filters.contains(.noPut)
        ignoresDeletes = wire.filters.contains(.noDelete)
        wantsPrevious = wire.prevKV
        allowsFragments = wire.fragment
        wantsProgress = wire.progressNotify
    }
}

extension WatchRefusal {
    /// As etcd says it (E4); the last is ours.
    fileprivate var text: String {
        switch self {
        case .negativeStart: EtcdError.compacted.message
        case .emptyRange: "mvcc: watcher range is empty"
        case .duplicateID: "mvcc: duplicate watch ID provided on the WatchStream"
        case .tooMany: "martlet: too many watchers on this stream"
        }
    }
}
