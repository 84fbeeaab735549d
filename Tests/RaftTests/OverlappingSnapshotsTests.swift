import PeerTransport
import RaftCore
import Synchronization
import Testing

@testable import Raft

/// Found by seed 86 of the simulator with requests for votes that did not wait for the disk: a member stood still for
/// good after a second snapshot had come while the first was being installed.
@Suite struct OverlappingSnapshotsTests {
    typealias Machine = LibraryMachine<KeyValues>

    private final class Box<Input: Sendable>: Mailbox {
        let inputs = Mutex<[Input]>([])
        func post(_ input: Input) { inputs.withLock { $0.append(input) } }
        func post(contentsOf inputs: [Input]) { for input in inputs { post(input) } }
        func postQuietly(_ input: Input) { post(input) }
    }

    private final class Silence: PeerTransport {
        func send(_ messages: [Message]) {}
        func sendSnapshot(
            _ description: Message, from source: any SnapshotSource, completion: @escaping @Sendable (Bool) -> Void
        ) {}
        func setPeers(_ peers: [PeerAddress]) {}
        func stop() {}
    }

    private let published = PublishedState(
        status: NodeStatus(id: NodeID(2)), view: StateBox(KeyValues()), applied: LogIndex(1))
    private let log = Box<LogInput>()
    private let apply = Box<ApplyInput<Machine>>()
    private let voters = Configuration(voters: [NodeID(1), NodeID(2), NodeID(3)])

    private func makeFollower() -> ConsensusStage<Machine> {
        let core = RaftCore(
            options: RaftCore.Options(id: NodeID(2), randomSeed: 1),
            restored: RaftCore.Restored(
                hardState: HardState(term: Term(1)), configuration: voters, snapshotIndex: LogIndex(1),
                snapshotTerm: Term(1), entries: [], applied: LogIndex(1)))
        return ConsensusStage<Machine>(
            core: core, options: NodeOptions(id: NodeID(2), randomSeed: 1, firstSequence: 1), recovered: [],
            applied: LogIndex(1), base: LogIndex(1),
            outlets: .init(
                log: log, apply: apply, transport: Silence(),
                published: published,
                own: Box<ConsensusInput<Machine>>(), failed: { _ in }))
    }

    private func arrival(_ index: UInt64) -> ConsensusInput<Machine> {
        let description = SnapshotDescription(index: LogIndex(index), term: Term(1), configuration: voters)
        let head = SnapshotHead(
            place: AppliedPlace(index: description.index, term: description.term), configuration: voters, roster: [])
        let store = SnapshotStore(directory: "/snapshots", fileSystem: MemoryFileSystem())
        return .snapshotArrived(
            Message(from: NodeID(1), to: NodeID(2), term: Term(1), body: .installSnapshot(description)),
            ArrivedSnapshot(name: "incoming-\(index)", head: head, store: store))
    }

    private var installations: [WriteID] {
        apply.inputs.withLock { inputs in
            inputs.compactMap { if case .install(_, _, let id) = $0 { id } else { nil } }
        }
    }

    private var snapshotsWritten: [LogIndex] {
        log.inputs.withLock { inputs in
            inputs.compactMap { if case .write(_, let write) = $0 { write.snapshot?.index } else { nil } }
        }
    }

    /// The apply stage installs the second only: it puts the first aside when it has not come to it.
    @Test func `a snapshot that takes another's place while that is being installed does not hold up the log`() throws {
        let stage = makeFollower()
        var inputs = [arrival(50)]
        stage.process(&inputs, now: 0)
        inputs = [arrival(80)]
        stage.process(&inputs, now: 1)
        let installations = installations
        try #require(installations.count == 2)
        #expect(snapshotsWritten == [])
        inputs = [.installed(installations[1])]
        stage.process(&inputs, now: 2)
        #expect(snapshotsWritten == [LogIndex(50), LogIndex(80)])
        // Also in a cluster where nothing else happens any more.
        #expect(published.status.applied == LogIndex(80))
    }

    @Test func `where both are installed, they are written behind the second`() throws {
        let stage = makeFollower()
        var inputs = [arrival(50), arrival(80)]
        stage.process(&inputs, now: 0)
        let installations = installations
        try #require(installations.count == 2)
        inputs = [.installed(installations[0])]
        stage.process(&inputs, now: 1)
        #expect(snapshotsWritten == [])
        inputs = [.installed(installations[1])]
        stage.process(&inputs, now: 2)
        #expect(snapshotsWritten == [LogIndex(50), LogIndex(80)])
    }
}
