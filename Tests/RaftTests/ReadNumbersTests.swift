import PeerTransport
import RaftCore
import Synchronization
import Testing

@testable import Raft

/// Found by seed 6707: a follower was restarted within a network's delay; an answer to its former self had the number
/// of its new question, and it told its client of a state that was older than what had been acknowledged.
@Suite struct ReadNumbersTests {
    typealias Machine = LibraryMachine<KeyValues>

    private final class Box<Input: Sendable>: Mailbox {
        func post(_ input: Input) {}
        func post(contentsOf inputs: [Input]) {}
        func postQuietly(_ input: Input) {}
    }

    private final class Wire: PeerTransport {
        let sent = Mutex<[Message]>([])
        func send(_ messages: [Message]) { sent.withLock { $0 += messages } }
        func sendSnapshot(
            _ description: Message, from source: any SnapshotSource, completion: @escaping @Sendable (Bool) -> Void
        ) {}
        func setPeers(_ peers: [PeerAddress]) {}
        func stop() {}
    }

    private final class Sink: ReplySink {
        typealias Answer = StateBox<KeyValues>
        func deliver(_ replies: [Reply<StateBox<KeyValues>>]) {}
    }

    @Test func `reads have numbers that no earlier incarnation has used`() {
        let wire = Wire()
        let core = RaftCore(
            options: RaftCore.Options(id: NodeID(2), randomSeed: 1),
            restored: RaftCore.Restored(
                hardState: HardState(term: Term(1)), configuration: Configuration(voters: [1, 2, 3]),
                snapshotIndex: LogIndex(1), snapshotTerm: Term(1), entries: [], applied: LogIndex(1)))
        let stage = ConsensusStage<Machine>(
            core: core, options: NodeOptions(id: NodeID(2), randomSeed: 1, firstSequence: 7_000), recovered: [],
            applied: LogIndex(1), base: LogIndex(1),
            outlets: .init(
                log: Box<LogInput>(), apply: Box<ApplyInput<Machine>>(), transport: wire,
                published: PublishedState(
                    status: NodeStatus(id: NodeID(2)), view: StateBox(KeyValues()), applied: LogIndex(1)),
                own: Box<ConsensusInput<Machine>>(), failed: { _ in }))
        let append = AppendEntries(
            previousIndex: LogIndex(1), previousTerm: Term(1), commit: LogIndex(1), entries: [])
        var inputs: [ConsensusInput<Machine>] = [
            .received([Message(from: NodeID(1), to: NodeID(2), term: Term(1), body: .appendEntries(append))]),
            .read(Ticket(sink: Sink(), token: 0)),
        ]
        stage.process(&inputs, now: 0)
        let asked = wire.sent.withLock { messages in
            messages.compactMap { if case .readIndex(let id) = $0.body { id.rawValue } else { nil } }
        }
        #expect(asked.count == 1 && asked.allSatisfy { $0 >= 7_000 })
    }
}
