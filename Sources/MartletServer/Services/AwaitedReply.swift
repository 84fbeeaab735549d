import NIOCore
import Raft

/// Brings one answer of the replica back to the event loop that waits for it. For requests that are rare: those that
/// are many share ``LoopRequests``.
final class AwaitedReply<Answer: Sendable>: ReplySink {
    private let eventLoop: any EventLoop
    private let handler: NIOLoopBound<(Swift.Result<Answer, RequestFailure>) -> Void>

    private init(_ eventLoop: any EventLoop, _ handler: @escaping (Swift.Result<Answer, RequestFailure>) -> Void) {
        self.eventLoop = eventLoop
        self.handler = NIOLoopBound(handler, eventLoop: eventLoop)
    }

    /// On the event loop; `handler` is called there, once.
    static func ticket(
        on eventLoop: any EventLoop, _ handler: @escaping (Swift.Result<Answer, RequestFailure>) -> Void
    ) -> Ticket<Answer> {
        Ticket(sink: AwaitedReply(eventLoop, handler), token: 0)
    }

    func deliver(_ replies: [Reply<Answer>]) {
        guard let answer = replies.first?.answer else { return }
        eventLoop.execute { [handler] in handler.value(answer) }
    }
}
