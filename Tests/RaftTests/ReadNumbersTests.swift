import RaftCore
import Synchronization
import Testing

@testable import Raft

/// Found by seed 6707: a follower was restarted within a network's delay; an answer to its former self had the number
/// of its new question, and it told its client of a state that was older than what had been acknowledged.
@Suite struct ReadNumbersTests {
    private final class Sink: ReplySink {
        typealias Answer = StateBox<KeyValues>
        func deliver(_ replies: [Reply<StateBox<KeyValues>>]) {}
    }

    @Test func `reads have numbers that no earlier incarnation has used`() {
        let follower = LoneFollower(firstSequence: 7_000)
        let append = AppendEntries(
            previousIndex: LogIndex(1), previousTerm: Term(1), commit: LogIndex(1), entries: [])
        follower.process([
            .received([Message(from: NodeID(1), to: NodeID(2), term: Term(1), body: .appendEntries(append))]),
            .read(Ticket(sink: Sink(), token: 0)),
        ])
        let asked = follower.transport.sent.withLock { messages in
            messages.compactMap { if case .readIndex(let id) = $0.body { id.rawValue } else { nil } }
        }
        #expect(asked.count == 1 && asked.allSatisfy { $0 >= 7_000 })
    }
}
