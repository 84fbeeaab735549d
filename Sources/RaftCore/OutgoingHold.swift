/// What must not happen before a write is durable: votes and acknowledgements, to others and to oneself.
///
/// "Raft servers must persist enough information to stable storage to survive server restarts safely" (thesis, §3.8).
/// A promise waits for the newest write at the end of the step that made it. That is later than strictly needed for
/// some refusals, and never too early; in exchange the hold is a plain queue, and promises to one peer keep their
/// order.
struct OutgoingHold: Sendable {
    enum Promise: Sendable {
        case message(Message)
        /// A candidate's vote for itself, in `term`.
        case ownVote(term: Term, isPreVote: Bool)
    }

    private struct Held: Sendable {
        /// Nil while the step that made the promise is still going on.
        var after: WriteID?
        var promise: Promise
    }

    private var queue: [Held] = []
    private var head = 0
    /// Those from here on have no write yet.
    private var sealed = 0

    var isEmpty: Bool { head == queue.count }
    var count: Int { queue.count - head }
    /// What waits to be sent.
    var messages: [Message] {
        queue[head...].compactMap { if case .message(let message) = $0.promise { message } else { nil } }
    }

    mutating func add(_ promise: Promise) { queue.append(Held(after: nil, promise: promise)) }

    /// The step's writes are out, the newest is `write`: promises made in it wait for that one.
    mutating func seal(after write: WriteID) {
        while sealed < queue.count {
            queue[sealed].after = write
            sealed += 1
        }
    }

    /// The next promise that may be kept, everything up to `stable` being durable.
    mutating func release(upTo stable: WriteID) -> Promise? {
        guard head < sealed, let after = queue[head].after, after <= stable else { return nil }
        let promise = queue[head].promise
        head += 1
        if head == queue.count {
            queue.removeAll(keepingCapacity: true)
            head = 0
            sealed = 0
        } else if head >= 64, head > queue.count / 2 {
            queue.removeFirst(head)
            sealed -= head
            head = 0
        }
        return promise
    }
}
