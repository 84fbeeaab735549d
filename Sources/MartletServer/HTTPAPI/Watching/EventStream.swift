import HTTP2
import NIOCore
import Replica

/// An answer of `text/event-stream`, for as long as the client listens: its place among those that are open, its head,
/// its heartbeats and its end. What it tells is somebody else's business. On its event loop.
final class EventStream: PlainStreamReceiver, OpenWait, EventReader {
    let watches: LoopWatches
    private let answer: any PlainStreamAnswer
    private let open: OpenWatches
    private let limits: HTTPAPILimits
    private var hasPlace = false
    private var hasBegun = false
    private(set) var isOver = false
    private var heartbeat: RepeatedTask?
    private var release: (() -> Void)?
    /// What was written since the client's socket was full.
    private var unreadBytes = 0
    private var drained: (() -> Void)?

    init(
        _ answer: any PlainStreamAnswer, open: OpenWatches, _ watches: LoopWatches,
        limits: HTTPAPILimits = HTTPAPILimits()
    ) {
        self.answer = answer
        self.open = open
        self.watches = watches
        self.limits = limits
    }

    var eventLoop: any EventLoop { answer.eventLoop }
    var needsLeader: Bool { false }

    // MARK: The beginning

    /// Takes a place among those that are open; where there is none, the client has been told so.
    func enter() -> Bool {
        guard open.enter() else {
            refuse(.tooManyRequests)
            return false
        }
        hasPlace = true
        watches.add(self)
        return true
    }

    /// Instead of a stream.
    func refuse(_ error: APIError) { refuse(error.response) }

    func refuse(_ response: PlainResponse) {
        guard !isOver else { return }
        letGo()
        answer.respond(response)
    }

    /// - Parameters:
    ///   - revision: what comes later is told.
    ///   - beat: called with each heartbeat.
    ///   - release: called once, when nothing more is to be told.
    func begin(at revision: Int64, beat: @escaping () -> Void = {}, release: @escaping () -> Void) {
        hasBegun = true
        self.release = release
        answer.begin(
            status: 200,
            fields: [
                ("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("x-accel-buffering", "no"),
                ("x-content-type-options", "nosniff"),
            ] + KeyAnswer.fields(ofRevision: revision))
        write(ServerSentEvents.begin(reconnectTime: limits.reconnectTime))
        let held = NIOLoopBound((self, beat), eventLoop: eventLoop)
        heartbeat = eventLoop.scheduleRepeatedTask(
            initialDelay: limits.heartbeatInterval, delay: limits.heartbeatInterval
        ) { _ in
            let (stream, beat) = held.value
            guard stream.answer.isWritable else { return }
            stream.write(ServerSentEvents.heartbeat)
            beat()
        }
    }

    func write(_ text: ByteBuffer) {
        answer.write(text)
        if !answer.isWritable { unreadBytes += text.readableBytes }
    }

    // MARK: The end

    func end(_ status: GRPCStatus) {
        if hasBegun { finish() } else { refuse(.stopped) }
    }

    func finish() {
        guard !isOver else { return }
        letGo()
        answer.end()
    }

    private func letGo() {
        guard !isOver else { return }
        isOver = true
        if hasPlace { open.leave() }
        watches.remove(self)
        heartbeat?.cancel()
        heartbeat = nil
        drained = nil
        let release = self.release
        self.release = nil
        release?()
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

extension PlainRequest {
    /// A GET of `text/event-stream`.
    var wantsEvents: Bool { method == "GET" && accepts("text/event-stream") }

    /// A browser that comes back asks for the same address, and says how far it got.
    func lastEventID() throws(APIError) -> Int64? {
        guard let last = field("last-event-id"), !last.isEmpty else { return nil }
        guard let revision = QueryItems.number(last.utf8), revision < .max else {
            throw .badRequest("Last-Event-ID is the id of an event: a revision")
        }
        return revision
    }
}
