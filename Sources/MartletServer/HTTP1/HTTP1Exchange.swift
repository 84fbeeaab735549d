import NIOCore
import NIOHTTP1

/// One request of a connection and its answer. Who answers late, when the client has gone, answers an exchange that its
/// connection no longer knows. On the connection's event loop only.
final class HTTP1Exchange: PlainStreamAnswer, @unchecked Sendable {
    /// What becomes of the body.
    enum Body {
        case gathered
        case streamed(any PlainStreamReceiver)
        /// Nobody wants it; so many bytes of it have been dropped.
        case discarded(Int)
    }

    let eventLoop: any EventLoop
    let head: HTTPRequestHead
    var request: PlainRequest
    let handler: PlainRouter.Handler?
    /// nil: the server's.
    let bodyRule: PlainRouter.BodyRule?
    let commonFields: [(name: String, value: String)]
    var body = Body.gathered
    /// What is answered when the body, which nobody wants, has been read.
    var refusal: PlainResponse?
    /// What of its event loop's allowance this exchange holds.
    var usedBytes = 0
    var requestHasEnded = false
    var answerHasBegun = false
    var answerHasEnded = false
    var isBodyPaused = false
    var keepsAlive: Bool
    /// nil when the exchange is over.
    weak var connection: HTTP1Connection?

    init(
        head: HTTPRequestHead, request: PlainRequest, handler: PlainRouter.Handler?,
        bodyRule: PlainRouter.BodyRule?, commonFields: [(name: String, value: String)],
        connection: HTTP1Connection
    ) {
        self.head = head
        self.request = request
        self.handler = handler
        self.bodyRule = bodyRule
        self.commonFields = commonFields
        self.connection = connection
        eventLoop = connection.eventLoop
        keepsAlive = head.isKeepAlive
    }

    /// HTTP/1.1 and later: chunks, 100 Continue, and connections that stay by themselves.
    var takesChunks: Bool { head.version.major > 1 || head.version.major == 1 && head.version.minor >= 1 }

    // MARK: Answers piece by piece

    var isWritable: Bool { connection?.isWritable ?? true }

    func begin(status: Int, fields: [(name: String, value: String)]) {
        guard !answerHasBegun else { return }
        // Without chunks the connection's end is the answer's.
        if !takesChunks { keepsAlive = false }
        connection?.writeHead(status: status, fields: fields, length: nil, of: self)
    }

    func write(_ bytes: ByteBuffer) {
        guard answerHasBegun, !answerHasEnded else { return }
        connection?.writeBody(bytes, of: self)
    }

    func end() {
        guard answerHasBegun, !answerHasEnded else { return }
        connection?.writeEnd(of: self)
    }

    func abort() {
        guard !answerHasEnded else { return }
        answerHasEnded = true
        connection?.abort()
    }

    func pauseBody() { isBodyPaused = true }

    func resumeBody() {
        guard isBodyPaused else { return }
        isBodyPaused = false
        connection?.goOn()
    }
}
