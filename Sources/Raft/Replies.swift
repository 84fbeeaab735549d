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
    /// The same, while nobody led: nothing was taken.
    case timedOutWithoutLeader
    /// As ``timedOut``, where the server knows more of it than this node does: the leader changed meanwhile.
    case timedOutByLeaderFailure
    /// The same: a connection to those it takes was lost.
    case timedOutByLostConnection
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

/// For requests that nobody waits for.
final class NobodyWaiting<Answer: Sendable>: ReplySink {
    func deliver(_ replies: [Reply<Answer>]) {}
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
///
/// It is used from generic code that is not specialised, where to change an array inside of another one costs an
/// allocation: so each sink has an object of its own, which is kept from batch to batch.
struct ReplyBatch<Answer: Sendable> {
    private final class Pile {
        let sink: any ReplySink<Answer>
        var replies: [Reply<Answer>] = []
        /// How many there were last time: about as many will come.
        var expected = 1

        init(_ sink: any ReplySink<Answer>) { self.sink = sink }
    }

    private static var pilesMax: Int { 64 }
    private static var keptReplies: Int { 16 }

    private var piles: [Pile] = []
    private var last: Pile?
    private var isEmpty = true

    mutating func add(_ ticket: Ticket<Answer>, _ answer: Result<Answer, RequestFailure>) {
        let pile = if let last, last.sink === ticket.sink { last } else { pile(of: ticket.sink) }
        if pile.replies.isEmpty { pile.replies.reserveCapacity(pile.expected) }
        pile.replies.append(Reply(token: ticket.token, answer: answer))
        isEmpty = false
    }

    private mutating func pile(of sink: any ReplySink<Answer>) -> Pile {
        for place in 0..<piles.count where piles[place].sink === sink {
            last = piles[place]
            return piles[place]
        }
        let pile = Pile(sink)
        piles.append(pile)
        last = pile
        return pile
    }

    mutating func flush() {
        guard !isEmpty else { return }
        isEmpty = true
        for place in 0..<piles.count {
            let pile = piles[place]
            guard !pile.replies.isEmpty else { continue }
            var replies: [Reply<Answer>] = []
            swap(&replies, &pile.replies)
            pile.expected = min(replies.count, 1024)
            pile.sink.deliver(replies)
            // A small one is used again, which helps where the sink has let go of it. A large one costs little a reply.
            if replies.capacity <= Self.keptReplies {
                replies.removeAll(keepingCapacity: true)
                swap(&replies, &pile.replies)
            }
        }
        if piles.count > Self.pilesMax {
            piles = []
            last = nil
        }
    }
}
