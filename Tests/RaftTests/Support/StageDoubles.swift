import PeerTransport
import RaftCore
import Synchronization

@testable import Raft

/// Keeps what a stage tells another one.
final class RecordingMailbox<Input: Sendable>: Mailbox {
    let inputs = Mutex<[Input]>([])
    func post(_ input: Input) { inputs.withLock { $0.append(input) } }
    func post(contentsOf inputs: [Input]) { for input in inputs { post(input) } }
    func postQuietly(_ input: Input) { post(input) }
}

/// Keeps what is sent, and delivers nothing.
final class RecordingTransport: PeerTransport {
    let sent = Mutex<[Message]>([])
    func send(_ messages: [Message]) { sent.withLock { $0 += messages } }
    func sendSnapshot(
        _ description: Message, from source: any SnapshotSource, completion: @escaping @Sendable (Bool) -> Void
    ) {}
    func setPeers(_ peers: [PeerAddress]) {}
    func stop() {}
}

/// The consensus stage of member 2 of three, a follower in term 1 with nothing in its log, and all that surrounds it.
struct LoneFollower {
    typealias Machine = LibraryMachine<KeyValues>

    let voters = Configuration(voters: [1, 2, 3])
    let log = RecordingMailbox<LogInput>()
    let apply = RecordingMailbox<ApplyInput<Machine>>()
    let transport = RecordingTransport()
    let published = PublishedState(
        status: NodeStatus(id: 2), view: StateBox(KeyValues()), applied: LogIndex(1))
    let stage: ConsensusStage<Machine>

    init(firstSequence: UInt64 = 1) {
        let core = RaftCore(
            options: RaftCore.Options(id: 2, randomSeed: 1),
            restored: RaftCore.Restored(
                hardState: HardState(term: Term(1)), configuration: voters, snapshotIndex: LogIndex(1),
                snapshotTerm: Term(1), entries: [], applied: LogIndex(1)))
        stage = ConsensusStage<Machine>(
            core: core, options: NodeOptions(id: 2, randomSeed: 1, firstSequence: firstSequence), recovered: [],
            applied: LogIndex(1), base: LogIndex(1),
            outlets: .init(
                log: log, apply: apply, transport: transport, published: published,
                own: RecordingMailbox<ConsensusInput<Machine>>(), failed: { _ in }))
    }

    func process(_ inputs: [ConsensusInput<Machine>]) {
        var inputs = inputs
        stage.process(&inputs, now: 0)
    }
}
