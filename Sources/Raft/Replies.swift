package import RaftCore

/// Why a request was not answered with a result.
package enum RequestFailure: Error, Hashable, Sendable {
    case noLeader
    /// The leader is handing over; the request was not taken and may be sent again.
    case leaderChanging
    /// Too much is waiting to be committed or applied; nothing was taken.
    case tooManyRequests
    /// The time for an answer is up. The request may still take effect.
    case timedOut
    /// The same, while the leader changed.
    case timedOutByLeaderFailure
    /// The configuration change was not taken, and why.
    case configurationRefused(ConfigurationRefusal)
    case notMember
    /// The node stops; the request may still take effect.
    case stopped
}

/// Who waits for an answer: a sink, usually one an event loop, and the sink's own mark for the request.
package struct Ticket<Answer: Sendable>: Sendable {
    package var sink: any ReplySink<Answer>
    package var token: UInt64

    package init(sink: any ReplySink<Answer>, token: UInt64) {
        self.sink = sink
        self.token = token
    }
}

package struct Reply<Answer: Sendable>: Sendable {
    package var token: UInt64
    package var answer: Result<Answer, RequestFailure>

    package init(token: UInt64, answer: Result<Answer, RequestFailure>) {
        self.token = token
        self.answer = answer
    }
}

/// Takes the answers of one batch at a time, so that a batch costs one hand-over.
package protocol ReplySink<Answer>: AnyObject, Sendable {
    associatedtype Answer: Sendable
    /// Called on a stage's thread; must not block.
    func deliver(_ replies: [Reply<Answer>])
}

/// Gathers a batch's replies by sink. There are few sinks (one an event loop): a scan finds them.
struct ReplyBatch<Answer: Sendable> {
    private var sinks: [(sink: any ReplySink<Answer>, replies: [Reply<Answer>])] = []

    mutating func add(_ ticket: Ticket<Answer>, _ answer: Result<Answer, RequestFailure>) {
        let reply = Reply(token: ticket.token, answer: answer)
        for place in sinks.indices where sinks[place].sink === ticket.sink {
            sinks[place].replies.append(reply)
            return
        }
        sinks.append((ticket.sink, [reply]))
    }

    mutating func flush() {
        guard !sinks.isEmpty else { return }
        for (sink, replies) in sinks { sink.deliver(replies) }
        sinks.removeAll(keepingCapacity: true)
    }
}
