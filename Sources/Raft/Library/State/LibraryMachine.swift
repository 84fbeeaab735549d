import ByteCodec
package import PeerTransport
import Platform
package import RaftCore

/// What a proposal is answered with.
package enum MachineAnswer<Response: Sendable>: Sendable {
    case response(Response)
    case rejected(String)
    case membershipChanged
}

/// Fits a user's ``StateMachine`` to the stages: keeps its place in the log, the configuration and the members'
/// addresses beside it, and all of them together in snapshot files.
///
/// The newest file is what a restart begins with, so that the log is needed only after it. Readers share the state with
/// the apply stage under a lock, in place of views: a view would be a copy of the user's value, and every batch after
/// it would pay for its own copy of the storage.
package final class LibraryMachine<Machine: StateMachine>: NodeMachine {
    package typealias Result = MachineAnswer<Machine.Response>
    package typealias View = StateBox<Machine>
    package typealias Staged = ArrivedSnapshot

    package typealias Policy = SnapshotPolicy

    let box: StateBox<Machine>
    private let store: SnapshotStore
    private let policy: Policy
    private let membershipChanged: @Sendable (_ configuration: Configuration, _ roster: [RaftPeer]) -> Void
    private let snapshotDone: @Sendable (SnapshotHappening, LogIndex) -> Void

    package private(set) var applied: AppliedPlace
    package private(set) var origin: AppliedPlace
    package private(set) var configuration: Configuration
    private(set) var roster: [RaftPeer]
    private var stored: LogIndex
    private var appliedBytes = 0
    private var flushing: StoredSnapshot?

    package enum SnapshotHappening: Sendable {
        case taken, installed
    }

    /// - Parameter found: the newest snapshot; nil on a member that is to join and has heard nothing yet.
    package init(
        box: StateBox<Machine>, store: SnapshotStore, found: StoredSnapshot?, policy: Policy,
        membershipChanged: @escaping @Sendable (_ configuration: Configuration, _ roster: [RaftPeer]) -> Void,
        snapshotDone: @escaping @Sendable (SnapshotHappening, LogIndex) -> Void
    ) throws {
        self.box = box
        self.store = store
        self.policy = policy
        self.membershipChanged = membershipChanged
        self.snapshotDone = snapshotDone
        let nowhere = AppliedPlace(index: .zero, term: .zero)
        applied = found?.head.place ?? nowhere
        // Only whether the two are the same matters: see `RaftNode`'s reconciliation.
        origin = found.map { $0.isOrigin ? $0.head.place : nowhere } ?? nowhere
        configuration = found?.head.configuration ?? Configuration()
        roster = found?.head.roster ?? []
        stored = applied.index
        if let found { try restore(found) }
    }

    private func restore(_ snapshot: StoredSnapshot) throws {
        let file = try store.read(snapshot)
        defer { file.close() }
        do {
            try box.change { try $0.restore(from: SnapshotReader(file)) }
        } catch let damage as SnapshotDamage {
            throw NodeFailure(part: .snapshot, reason: "\(snapshot.name): \(damage)")
        } catch let error as FileError {
            throw error
        } catch {
            throw NodeFailure(part: .stateMachine, reason: "it cannot restore \(snapshot.name): \(error)")
        }
    }

    // MARK: Applying

    /// The first byte of every command in the log; others are for later versions.
    package static var commandMark: UInt8 { 0 }

    package func apply(_ command: UnsafeRawBufferPointer, at place: AppliedPlace, isAwaited: Bool) throws -> Result {
        guard command.first == Self.commandMark else {
            throw NodeFailure(
                part: .stateMachine,
                reason: "entry \(place.index.rawValue) is of a kind that this version does not know")
        }
        let bytes = Array(command.dropFirst())
        let answer: Result
        do {
            answer = .response(try box.change { try $0.apply(bytes, at: place.index) })
        } catch let rejection as CommandRejected {
            answer = .rejected(rejection.reason)
        } catch {
            throw NodeFailure(part: .stateMachine, reason: "it failed at entry \(place.index.rawValue): \(error)")
        }
        applied = place
        appliedBytes += command.count
        return answer
    }

    package func apply(_ configuration: Configuration, context: [UInt8], at place: AppliedPlace) throws -> Result {
        self.configuration = configuration
        if !context.isEmpty {
            for peer in try RosterCodec.decode(context) {
                roster.removeAll { $0.id == peer.id }
                roster.append(peer)
            }
        }
        let present = configuration.members
        roster.removeAll { !present.contains($0.id) }
        roster.sort { $0.id < $1.id }
        for place in roster.indices {
            roster[place].role = configuration.learners.contains(roster[place].id) ? .learner : .voter
        }
        applied = place
        membershipChanged(configuration, roster)
        return .membershipChanged
    }

    package static func accepts(_ command: UnsafeRawBufferPointer) -> Bool { command.first == commandMark }

    /// Never: what a user's machine takes for a command is not known here.
    package static func isQuick(_ command: UnsafeRawBufferPointer) -> Bool { false }

    package func skip(at place: AppliedPlace) throws { applied = place }

    package var view: StateBox<Machine> { box }

    // MARK: Snapshots on the disk

    /// "Bytes" only in name: 1 when a snapshot is due. Nothing has to wait for it; the log holds what it lacks.
    package var unflushedBytes: Int {
        guard flushing == nil, applied.index > stored else { return 0 }
        return policy.isDue(entries: applied.index.rawValue - stored.rawValue, bytes: appliedBytes) ? 1 : 0
    }

    package func beginFlush() throws -> (any FlushJob)? {
        guard applied.index > stored else { return nil }
        let snapshot = StoredSnapshot(head: head, isOrigin: false)
        let state = try stateSnapshot()
        flushing = snapshot
        appliedBytes = 0
        return SnapshotJob(snapshot: snapshot, state: state, store: store)
    }

    func stateSnapshot() throws -> StateSnapshot {
        do {
            return try box.read { try $0.snapshot() }
        } catch {
            throw NodeFailure(part: .stateMachine, reason: "it gives no snapshot: \(error)")
        }
    }

    package func endFlush() throws {
        guard let snapshot = flushing else { return }
        flushing = nil
        stored = snapshot.head.place.index
        snapshotDone(.taken, stored)
    }

    package func doHousekeeping() throws -> Bool { false }

    private var head: SnapshotHead { SnapshotHead(place: applied, configuration: configuration, roster: roster) }

    // MARK: Snapshots between members

    package func makeSnapshotSource() throws -> any SnapshotSource {
        OutgoingStateSnapshot(head: head, state: try stateSnapshot(), store: store)
    }

    package func install(_ staged: ArrivedSnapshot) throws {
        let snapshot: StoredSnapshot
        do {
            snapshot = try store.install(staged)
            try restore(snapshot)
        } catch let error as FileError {
            throw NodeFailure(part: .snapshot, reason: "\(error)")
        }
        applied = snapshot.head.place
        origin = applied
        configuration = snapshot.head.configuration
        roster = snapshot.head.roster
        stored = applied.index
        appliedBytes = 0
        membershipChanged(configuration, roster)
        snapshotDone(.installed, stored)
    }
}

/// Writes a snapshot beside everything else, on the flush stage's thread.
private struct SnapshotJob: FlushJob {
    let snapshot: StoredSnapshot
    let state: StateSnapshot
    let store: SnapshotStore

    var applied: AppliedPlace { snapshot.head.place }
    func run() throws { try store.write(snapshot, state) }
}

/// Bytes of members' addresses: in configuration changes, and in snapshots.
///
///     count varint, then for each: id u64 · role u8 (0 voter, 1 learner) · address, length-prefixed
enum RosterCodec {
    static let peersMax = 4_096
    static let addressBytesMax = 1_024

    static func encode(_ peers: [RaftPeer]) -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: 32 * peers.count)
        writer.writeVarint(UInt64(peers.count))
        for peer in peers {
            writer.write(peer.id.rawValue)
            writer.write(peer.role.rawValue)
            writer.writeLengthPrefixed(Array(peer.address.utf8))
        }
        return writer.finish()
    }

    static func decode(_ bytes: [UInt8]) throws -> [RaftPeer] {
        try bytes.withUnsafeBytes { raw in
            var reader = ByteReader(raw)
            let count = try reader.readVarint()
            guard count <= UInt64(peersMax) else { throw ByteCodec.DecodingError.invalid("\(count) members") }
            var peers: [RaftPeer] = []
            for _ in 0..<count {
                let id = NodeID(try reader.readUInt64())
                let role = try reader.readByte()
                guard let role = RaftPeer.Role(rawValue: role) else {
                    throw ByteCodec.DecodingError.invalid("a member of role \(role)")
                }
                let address = String(decoding: try reader.readLengthPrefixed(), as: UTF8.self)
                peers.append(RaftPeer(id: id, address: address, role: role))
            }
            try reader.expectEnd()
            return peers
        }
    }
}
