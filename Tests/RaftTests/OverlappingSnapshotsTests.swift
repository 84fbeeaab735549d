import RaftCore
import Synchronization
import Testing

@testable import Raft

/// Found by seed 86 of the simulator with requests for votes that did not wait for the disk: a member stood still for
/// good after a second snapshot had come while the first was being installed.
@Suite struct OverlappingSnapshotsTests {
    typealias Machine = LibraryMachine<KeyValues>

    private let follower = LoneFollower()

    private func arrival(_ index: UInt64) -> ConsensusInput<Machine> {
        let description = SnapshotDescription(index: LogIndex(index), term: Term(1), configuration: follower.voters)
        let head = SnapshotHead(
            place: AppliedPlace(index: description.index, term: description.term), configuration: follower.voters,
            roster: [])
        let store = SnapshotStore(directory: "/snapshots", fileSystem: MemoryFileSystem())
        return .snapshotArrived(
            Message(from: NodeID(1), to: NodeID(2), term: Term(1), body: .installSnapshot(description)),
            ArrivedSnapshot(name: "incoming-\(index)", head: head, store: store))
    }

    private var installations: [WriteID] {
        follower.apply.inputs.withLock { inputs in
            inputs.compactMap { if case .install(_, _, let id) = $0 { id } else { nil } }
        }
    }

    private var snapshotsWritten: [LogIndex] {
        follower.log.inputs.withLock { inputs in
            inputs.compactMap { if case .write(_, let write) = $0 { write.snapshot?.index } else { nil } }
        }
    }

    /// The apply stage installs the second only: it puts the first aside when it has not come to it.
    @Test func `a snapshot that takes another's place while that is being installed does not hold up the log`() throws {
        follower.process([arrival(50)])
        follower.process([arrival(80)])
        let installations = installations
        try #require(installations.count == 2)
        #expect(snapshotsWritten == [])
        follower.process([.installed(installations[1])])
        #expect(snapshotsWritten == [LogIndex(50), LogIndex(80)])
        // Also in a cluster where nothing else happens any more.
        #expect(follower.published.status.applied == LogIndex(80))
    }

    @Test func `where both are installed, they are written behind the second`() throws {
        follower.process([arrival(50), arrival(80)])
        let installations = installations
        try #require(installations.count == 2)
        follower.process([.installed(installations[0])])
        #expect(snapshotsWritten == [])
        follower.process([.installed(installations[1])])
        #expect(snapshotsWritten == [LogIndex(50), LogIndex(80)])
    }
}
