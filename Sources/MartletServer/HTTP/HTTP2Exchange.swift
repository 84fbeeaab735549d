import HTTP2
import NIOCore

/// A plain request that came over HTTP/2, whole, and its answer, which may go piece by piece. On its event loop only.
final class HTTP2Exchange: PlainStreamAnswer, @unchecked Sendable {
    /// From here on, whoever writes is asked to wait until the client has taken half of it.
    static let pendingBytesMax = 256 << 10

    let eventLoop: any EventLoop
    private var request: HTTP2PlainRequest
    private let commonFields: [(name: String, value: String)]
    private let stallTimeout: TimeAmount
    private var receiver: (any PlainStreamReceiver)?
    private var isFull = false
    private var writtenBytes = 0
    private var stall: Scheduled<Void>?
    /// What the receiver has not been given; nil when it has all of it.
    private var body: ByteBuffer?
    private var isBodyPaused = false
    private var bodyHasEnded = false
    private var isOver = false

    private init(
        _ request: HTTP2PlainRequest, commonFields: [(name: String, value: String)], stallTimeout: TimeAmount
    ) {
        self.stallTimeout = stallTimeout
        self.request = request
        self.commonFields = commonFields
        body = request.body
        self.request.body = ByteBuffer()
        eventLoop = request.eventLoop
    }

    /// - Parameter stallTimeout: ``HTTP1Limits/stallTimeout``, for HTTP/2.
    static func serve(
        _ request: HTTP2PlainRequest, by router: PlainRouter, stallTimeout: TimeAmount = HTTP1Limits().stallTimeout
    ) {
        let plain = PlainRequest(
            method: request.method, target: request.path, fields: request.fields, body: request.body)
        let match = router.match(plain)
        guard case .stream(let begin) = match else {
            var answered = request
            answered.body = ByteBuffer()
            request.onCancel { plain.cancellation.cancel() }
            router.handle(plain, by: match, on: request.eventLoop) { [answered] response in
                plain.cancellation.forget()
                answered.respond(status: response.status, fields: response.fields, body: response.body)
            }
            return
        }
        let exchange = HTTP2Exchange(
            request, commonFields: router.commonFields(for: plain), stallTimeout: stallTimeout)
        exchange.begin(plain, begin)
    }

    private func begin(_ plain: PlainRequest, _ begin: PlainRouter.StreamHandler) {
        var head = plain
        head.body = ByteBuffer()
        let receiver = begin(head, self)
        // It may have answered already.
        guard !isOver else { return }
        self.receiver = receiver
        request.onCancel { [self] in cancel() }
        giveBody()
    }

    private func giveBody() {
        guard !isBodyPaused, let receiver else { return }
        if let part = body {
            body = nil
            if part.readableBytes > 0 { receiver.onBody(part) }
        }
        // It may have ended, or asked for a pause again.
        guard !isBodyPaused, !isOver, !bodyHasEnded else { return }
        bodyHasEnded = true
        receiver.onBodyEnd()
    }

    private func cancel() {
        let receiver = receiver
        letGo()
        receiver?.onCancel()
    }

    // MARK: The answer

    var isWritable: Bool { !isFull }

    func begin(status: Int, fields: [(name: String, value: String)]) {
        request.begin(status: status, fields: fields + commonFields)
    }

    func write(_ bytes: ByteBuffer) {
        request.write(bytes)
        writtenBytes += bytes.readableBytes
        guard !isFull, request.pendingBytes > Self.pendingBytesMax else { return }
        isFull = true
        watchForStall()
        request.whenPendingBytes(atMost: Self.pendingBytesMax / 2) { [self] in
            isFull = false
            stall?.cancel()
            receiver?.onWritable()
        }
    }

    /// As over HTTP/1.1: a client that takes nothing of what waits for it holds what others want (a snapshot's place).
    private func watchForStall() {
        let taken = writtenBytes - request.pendingBytes
        let held = NIOLoopBound(self, eventLoop: eventLoop)
        stall = eventLoop.scheduleTask(in: stallTimeout) {
            let exchange = held.value
            guard !exchange.isOver, exchange.isFull else { return }
            let takenNow = exchange.writtenBytes - exchange.request.pendingBytes
            guard takenNow == taken else { return exchange.watchForStall() }
            exchange.cancel()
            exchange.request.abort()
        }
    }

    func end() {
        letGo()
        request.end()
    }

    func abort() {
        letGo()
        request.abort()
    }

    private func letGo() {
        isOver = true
        receiver = nil
        body = nil
        stall?.cancel()
    }

    func pauseBody() { isBodyPaused = true }

    func resumeBody() {
        isBodyPaused = false
        giveBody()
    }
}
