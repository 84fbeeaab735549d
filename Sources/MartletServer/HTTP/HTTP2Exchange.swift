import HTTP2
import NIOCore

/// A plain request that came over HTTP/2, whole, and its answer, which may go piece by piece. On its event loop only.
final class HTTP2Exchange: PlainStreamAnswer, @unchecked Sendable {
    /// From here on, whoever writes is asked to wait until the client has taken half of it.
    static let pendingBytesMax = 256 << 10

    let eventLoop: any EventLoop
    private let request: HTTP2PlainRequest
    private let commonFields: [(name: String, value: String)]
    private var receiver: (any PlainStreamReceiver)?
    private var isFull = false
    private var isBodyPaused = false
    private var bodyHasEnded = false
    private var isOver = false

    private init(_ request: HTTP2PlainRequest, commonFields: [(name: String, value: String)]) {
        self.request = request
        self.commonFields = commonFields
        eventLoop = request.eventLoop
    }

    static func serve(_ request: HTTP2PlainRequest, by router: PlainRouter) {
        let plain = PlainRequest(
            method: request.method, target: request.path, fields: request.fields, body: request.body)
        guard case .stream(let begin) = router.match(plain) else {
            request.onCancel { plain.cancellation.cancel() }
            router.handle(plain, on: request.eventLoop) { response in
                plain.cancellation.forget()
                request.respond(status: response.status, fields: response.fields, body: response.body)
            }
            return
        }
        let exchange = HTTP2Exchange(request, commonFields: router.commonFields(for: plain))
        exchange.begin(plain, begin)
    }

    private func begin(_ plain: PlainRequest, _ begin: PlainRouter.StreamHandler) {
        var head = plain
        head.body = ByteBuffer()
        let receiver = begin(head, self)
        // It may have answered already.
        guard !isOver else { return }
        self.receiver = receiver
        request.onCancel { [self] in
            isOver = true
            self.receiver = nil
            receiver.onCancel()
        }
        if plain.body.readableBytes > 0 { receiver.onBody(plain.body) }
        endBody()
    }

    private func endBody() {
        guard !isBodyPaused, !bodyHasEnded, let receiver else { return }
        bodyHasEnded = true
        receiver.onBodyEnd()
    }

    // MARK: The answer

    var isWritable: Bool { !isFull }

    func begin(status: Int, fields: [(name: String, value: String)]) {
        request.begin(status: status, fields: fields + commonFields)
    }

    func write(_ bytes: ByteBuffer) {
        request.write(bytes)
        guard !isFull, request.pendingBytes > Self.pendingBytesMax else { return }
        isFull = true
        request.whenPendingBytes(atMost: Self.pendingBytesMax / 2) { [self] in
            isFull = false
            receiver?.onWritable()
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
    }

    func pauseBody() { isBodyPaused = true }

    func resumeBody() {
        isBodyPaused = false
        endBody()
    }
}
