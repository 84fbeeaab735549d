import EtcdAPI
import HTTP2
import MVCC
import NIOCore
import Replica

/// A key's or a prefix's events as they happen, for as long as the client listens. On its event loop.
final class EventStream: PlainStreamReceiver, OpenWait, EventReader {
    private let api: HTTPAPI
    private let answer: any PlainStreamAnswer
    private let open: OpenWatches
    private let watches: LoopWatches
    private var target: WatchTarget?
    private var feed: KeyEventFeed?
    private var heartbeat: RepeatedTask?
    private var hasPlace = false
    private var hasBegun = false
    private var isOver = false
    /// What was written since the client's socket was full.
    private var unreadBytes = 0
    private var drained: (() -> Void)?
    /// The last id that was told.
    private var told: Int64 = 0

    init(_ api: HTTPAPI, _ answer: any PlainStreamAnswer) {
        self.api = api
        self.answer = answer
        open = api.openWatches(on: answer.eventLoop)
        watches = api.watches.watches(on: answer.eventLoop)
    }

    var needsLeader: Bool { false }

    func begin(_ target: WatchTarget, _ level: ReadLevel) {
        guard open.enter() else { return refuse(.tooManyRequests) }
        hasPlace = true
        watches.add(self)
        self.target = target
        api.keys.view(target.after == nil ? level : .stale, on: answer.eventLoop) { [self] result in
            guard !isOver else { return }
            switch result {
            case .failure(let error): refuse(error)
            case .success(let view): follow(in: view.store)
            }
        }
    }

    /// Instead of a stream.
    func refuse(_ error: APIError) { refuse(error.response) }

    func refuse(_ response: PlainResponse) {
        guard !isOver else { return }
        letGo()
        answer.respond(response)
    }

    private func follow(in view: ReadView) {
        guard let target else { return }
        let after = target.after ?? view.revision.rawValue
        guard after + 1 >= view.compactRevision.rawValue else {
            return refuse(WatchTarget.compacted(view.compactRevision))
        }
        hasBegun = true
        answer.begin(
            status: 200,
            fields: [
                ("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("x-accel-buffering", "no"),
                ("x-content-type-options", "nosniff"),
            ] + KeyAnswer.fields(ofRevision: after))
        write(ServerSentEvents.begin(reconnectTime: api.limits.reconnectTime))
        tell(place: after)
        feed = KeyEventFeed(
            target.request(after: after), hidesReserved: target.hidesReserved, for: self, watches
        ) { [self] happening in
            switch happening {
            case .events(let events):
                told = events.last?.kv?.modRevision ?? told
                write(ServerSentEvents.text(of: events, withValue: !target.keysOnly))
            case .progress(let revision): if revision.rawValue > told { tell(place: revision.rawValue) }
            case .compacted(let revision):
                write(ServerSentEvents.compacted(revision))
                finish()
            case .refused: finish()
            }
        }
        let held = NIOLoopBound(self, eventLoop: answer.eventLoop)
        let interval = api.limits.heartbeatInterval
        heartbeat = answer.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            held.value.beat()
        }
    }

    private func tell(place: Int64) {
        told = place
        write(ServerSentEvents.place(place))
    }

    private func beat() {
        guard answer.isWritable else { return }
        write(ServerSentEvents.heartbeat)
        feed?.requestProgress()
    }

    private func write(_ text: ByteBuffer) {
        answer.write(text)
        if !answer.isWritable { unreadBytes += text.readableBytes }
    }

    // MARK: The end

    func end(_ status: GRPCStatus) {
        if hasBegun {
            finish()
        } else {
            refuse(.stopped)
        }
    }

    private func finish() {
        guard !isOver else { return }
        letGo()
        answer.end()
    }

    private func letGo() {
        guard !isOver else { return }
        isOver = true
        if hasPlace { open.leave() }
        watches.remove(self)
        feed?.stop()
        feed = nil
        heartbeat?.cancel()
        heartbeat = nil
        drained = nil
    }

    // MARK: From the client

    func onBody(_ part: ByteBuffer) {}
    func onBodyEnd() {}
    func onCancel() { letGo() }

    func onWritable() {
        unreadBytes = 0
        let body = drained
        drained = nil
        body?()
    }

    // MARK: The reader

    /// Beside what its socket has been given, of which only is known whether it is much.
    var pendingBytes: Int { answer.isWritable ? 0 : max(unreadBytes, watches.options.limits.drainedBytes + 1) }

    func whenPendingBytes(atMost bytes: Int, _ body: @escaping () -> Void) {
        if answer.isWritable { body() } else { drained = body }
    }
}
