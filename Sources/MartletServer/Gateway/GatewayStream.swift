import EtcdAPI
import HTTP2
import NIOCore

/// One stream of the gateway (W7): the objects of the request's body go to the method as they come, and each message
/// of the method goes to the client as a line. Either side holds the other back. On its event loop only.
final class GatewayStream: PlainStreamReceiver, GRPCClientStreamHandler, @unchecked Sendable {
    private let route: GatewayRoute
    private let limits: GatewayLimits
    private let answer: any PlainStreamAnswer
    private let loop: GatewayLoop
    private var splitter: JSONSplitter
    private var call: GRPCClientCall?
    private var hasBegun = false
    private var hasEnded = false
    /// A method that takes one message has got it.
    private var hasSentRequest = false
    private var isHeld = false

    init(
        route: GatewayRoute, limits: GatewayLimits, metadata: [(String, String)],
        timeout: Result<TimeAmount?, GatewayError>, answer: any PlainStreamAnswer, loop: GatewayLoop
    ) {
        self.route = route
        self.limits = limits
        self.answer = answer
        self.loop = loop
        splitter = JSONSplitter(bytesMax: limits.objectBytesMax, depthMax: limits.depthMax)
        guard loop.beginStream() else {
            hasEnded = true
            fail(GRPCStatus(.resourceExhausted, "etcdserver: too many requests"))
            return
        }
        let patience: TimeAmount?
        switch timeout {
        case .success(let asked): patience = asked
        case .failure(let error):
            refuse(error)
            return
        }
        answer.pauseBody()
        loop.withConnection { [self] result in
            guard !hasEnded else { return }
            switch result {
            case .failure(let status): onEnd(status)
            case .success(let connection):
                call = connection.stream(
                    route.method.rawValue, timeout: patience, metadata: metadata, handler: self)
                answer.resumeBody()
            }
        }
    }

    // MARK: From the client

    func onBody(_ part: ByteBuffer) {
        guard !hasEnded, !hasSentRequest else { return }
        splitter.append(part)
        do throws(GatewayError) {
            while let object = try nextObject() { send(try route.message(object)) }
        } catch {
            refuse(error)
        }
    }

    func onBodyEnd() {
        guard !hasEnded, !hasSentRequest else { return }
        do throws(JSONSplitter.Failure) {
            try splitter.finish()
        } catch {
            return refuse(GatewayError(error))
        }
        // Nothing at all is an empty object, where one is expected.
        if route.kind == .serverStream { send(ByteBuffer()) } else { call?.halfClose() }
    }

    func onWritable() {
        guard isHeld else { return }
        isHeld = false
        call?.resumeReading()
    }

    func onCancel() {
        end()
        call?.cancel()
        call = nil
    }

    private func nextObject() throws(GatewayError) -> ByteBuffer? {
        guard !hasEnded, !hasSentRequest else { return nil }
        do throws(JSONSplitter.Failure) {
            return try splitter.next()
        } catch {
            throw GatewayError(error)
        }
    }

    private func send(_ message: ByteBuffer) {
        guard let call else { return }
        call.send(message)
        if route.kind == .serverStream {
            hasSentRequest = true
            call.halfClose()
        } else if call.pendingBytes > limits.unsentBytesMax {
            answer.pauseBody()
            call.whenPendingBytes(atMost: limits.unsentBytesMax / 2) { [answer] in answer.resumeBody() }
        }
    }

    /// What the client sent is wrong.
    private func refuse(_ error: GatewayError) {
        guard !hasEnded else { return }
        end()
        fail(error.status)
        call?.cancel()
        call = nil
    }

    // MARK: From the method

    func onMessage(_ message: ByteBuffer) {
        guard !hasEnded else { return }
        var line = ByteBuffer(string: #"{"result":"#)
        do {
            line.writeImmutableBuffer(try route.encode(message))
        } catch {
            return refuse(GatewayError(.internalError, "the answer cannot be written as JSON: \(error)"))
        }
        line.writeString("}\n")
        begin(status: 200)
        answer.write(line)
        guard !answer.isWritable, !isHeld else { return }
        isHeld = true
        call?.pauseReading()
    }

    func onEnd(_ status: GRPCStatus) {
        guard !hasEnded else { return }
        end()
        call = nil
        guard status.code == .ok else { return fail(status) }
        begin(status: 200)
        answer.end()
    }

    // MARK: The end

    private func end() {
        guard !hasEnded else { return }
        hasEnded = true
        loop.endStream()
    }

    private func fail(_ status: GRPCStatus) {
        begin(status: status.code.httpStatus)
        answer.write(GatewayError(status).streamObject)
        answer.end()
    }

    private func begin(status: Int) {
        guard !hasBegun else { return }
        hasBegun = true
        answer.begin(status: status, fields: [("content-type", "application/json")])
    }
}
