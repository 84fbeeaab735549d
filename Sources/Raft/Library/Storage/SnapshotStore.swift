import PeerTransport
package import Platform
import RaftCore
import Synchronization

/// A snapshot that is, or is to be, in the store.
package struct StoredSnapshot: Hashable, Sendable {
    var head: SnapshotHead
    /// The state was born here: by bootstrap, or by another member's snapshot. The log may know nothing of it yet.
    var isOrigin: Bool
    /// Its file's.
    var name: String

    /// - Parameter name: where it is not the one that its kind and its place give it.
    init(head: SnapshotHead, isOrigin: Bool, name: String? = nil) {
        self.head = head
        self.isOrigin = isOrigin
        self.name = name ?? Self.name(head.place, isOrigin: isOrigin)
    }

    static func name(_ place: AppliedPlace, isOrigin: Bool) -> String {
        "\(isOrigin ? "origin" : "snapshot")-\(place.index.rawValue)-\(place.term.rawValue)"
    }

    static func place(ofName name: String) -> (place: AppliedPlace, isOrigin: Bool)? {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "origin" || parts[0] == "snapshot", let index = UInt64(parts[1]),
            let term = UInt64(parts[2])
        else { return nil }
        return (AppliedPlace(index: LogIndex(index), term: Term(term)), parts[0] == "origin")
    }
}

/// A snapshot that has come from another member, whole and checked. One that is let go without having been installed
/// is removed.
package final class ArrivedSnapshot: Sendable {
    let name: String
    let head: SnapshotHead
    private let store: SnapshotStore
    private let isInstalled = Atomic(false)

    init(name: String, head: SnapshotHead, store: SnapshotStore) {
        self.name = name
        self.head = head
        self.store = store
    }

    func markInstalled() { isInstalled.store(true, ordering: .relaxed) }
    deinit { if !isInstalled.load(ordering: .relaxed) { store.discard(name) } }
}

/// Snapshot files in one directory. The newest is the state; a rename puts a finished one in its predecessor's place,
/// so that a crash leaves either of them, never neither.
///
///     snapshot-<index>-<term>    taken here
///     origin-<index>-<term>      where this member's state was born
///     incoming-<n>               arriving from another member
///     writing-<n>                being written, to be kept or to be sent
///     recovered-<cluster>-<id>   the state of a recovery that is under way (SnapshotStore+Recovery)
package final class SnapshotStore: Sendable {
    let directory: String
    let fileSystem: any FileSystem
    private let serial = Atomic<UInt64>(0)

    package init(directory: String, fileSystem: any FileSystem) {
        self.directory = directory
        self.fileSystem = fileSystem
    }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    private func freshName(_ kind: String) -> String {
        "\(kind)-\(serial.wrappingAdd(1, ordering: .relaxed).newValue)"
    }

    /// The newest snapshot, with what interrupted work has left cleared away; nil if there is none.
    package func open() throws -> StoredSnapshot? {
        try fileSystem.createDirectory(directory)
        if let unfinished = try unfinishedRecovery() { throw unfinished }
        try clearAway()
        return try openIfThere()
    }

    /// Removes what interrupted work has left.
    func clearAway() throws {
        for name in try fileSystem.list(directory) where name.hasPrefix("incoming-") || name.hasPrefix("writing-") {
            try fileSystem.removeFile(path(name))
        }
    }

    /// The newest snapshot; older ones go.
    func openIfThere() throws -> StoredSnapshot? {
        guard fileSystem.exists(directory) else { return nil }
        let found = try fileSystem.list(directory).compactMap(StoredSnapshot.place(ofName:))
        guard let newest = found.max(by: { $0.place.index < $1.place.index }) else { return nil }
        let name = StoredSnapshot.name(newest.place, isOrigin: newest.isOrigin)
        let file = try reader(name)
        defer { file.close() }
        guard file.head.place == newest.place else { throw SnapshotDamage(reason: "\(name) says that it is another") }
        try removeAll(but: name)
        return StoredSnapshot(head: file.head, isOrigin: newest.isOrigin)
    }

    func reader(_ name: String) throws -> SnapshotFileReader {
        do {
            return try SnapshotFileReader(try fileSystem.open(path(name), .read))
        } catch let damage as SnapshotDamage {
            throw SnapshotDamage(reason: "\(name): \(damage)")
        }
    }

    func read(_ snapshot: StoredSnapshot) throws -> SnapshotFileReader { try reader(snapshot.name) }

    /// Writes a snapshot that takes the place of the newest one.
    package func write(_ snapshot: StoredSnapshot, _ state: StateSnapshot) throws {
        let name = try writeAside(snapshot.head, state)
        try fileSystem.rename(path(name), to: path(snapshot.name))
        try fileSystem.synchronizeDirectory(directory)
        try removeAll(but: snapshot.name)
    }

    /// Writes down the state that a new cluster begins with. The log starts after a first place that no member holds an
    /// entry for, so that whoever joins later gets this state as a snapshot (`RaftCore.Restored.bootstrap`).
    package func bootstrap(_ peers: [RaftPeer], _ state: StateSnapshot) throws -> StoredSnapshot {
        let roster = peers.sorted { $0.id < $1.id }
        let head = SnapshotHead(
            place: AppliedPlace(index: LogIndex(1), term: Term(1)),
            configuration: Configuration(
                voters: roster.filter { $0.role == .voter }.map(\.id),
                learners: roster.filter { $0.role == .learner }.map(\.id)),
            roster: roster)
        let snapshot = StoredSnapshot(head: head, isOrigin: true)
        try write(snapshot, state)
        return snapshot
    }

    /// Writes one under a name of its own: the caller renames or discards it.
    func writeAside(_ head: SnapshotHead, _ state: StateSnapshot) throws -> String {
        let name = freshName("writing")
        do {
            let file = try fileSystem.open(path(name), .create)
            defer { file.close() }
            let writer = try SnapshotFileWriter(file, head: head)
            try state.write(SnapshotWriter(writer))
            try writer.finish()
            return name
        } catch {
            discard(name)
            throw error
        }
    }

    /// Older snapshots. What arrives or is being sent stays.
    func removeAll(but kept: String) throws {
        for name in try fileSystem.list(directory) where name != kept && StoredSnapshot.place(ofName: name) != nil {
            try fileSystem.removeFile(path(name))
        }
    }

    func discard(_ name: String) {
        // What cannot be removed now is removed at the next start.
        do { try fileSystem.removeFile(path(name)) } catch {}
    }

    func install(_ arrived: ArrivedSnapshot) throws -> StoredSnapshot {
        let snapshot = StoredSnapshot(head: arrived.head, isOrigin: true)
        try fileSystem.rename(path(arrived.name), to: path(snapshot.name))
        arrived.markInstalled()
        try fileSystem.synchronizeDirectory(directory)
        try removeAll(but: snapshot.name)
        return snapshot
    }

    fileprivate func makeIncoming() throws -> (name: String, file: any File) {
        let name = freshName("incoming")
        return (name, try fileSystem.open(path(name), .create))
    }

    fileprivate func check(_ name: String, against description: SnapshotDescription) throws -> SnapshotHead {
        let file = try reader(name)
        defer { file.close() }
        let head = file.head
        guard head.place.index == description.index, head.place.term == description.term,
            head.configuration == description.configuration
        else { throw SnapshotDamage(reason: "it is another snapshot than the one that was announced") }
        try file.check()
        return head
    }
}

/// Puts arriving snapshots into files, one at a time.
package final class SnapshotFileReceiver: SnapshotReceiver {
    private let store: SnapshotStore
    private let isBusy = Mutex(false)

    package init(store: SnapshotStore) { self.store = store }

    package func begin(_ description: SnapshotDescription) throws -> any StagingSink<ArrivedSnapshot> {
        let isFree = isBusy.withLock { busy in
            defer { busy = true }
            return !busy
        }
        guard isFree else { throw NodeFailure(part: .snapshot, reason: "another snapshot is arriving") }
        do {
            let (name, file) = try store.makeIncoming()
            return SnapshotFileSink(
                store: store, name: name, file: file, description: description,
                ended: { [self] in isBusy.withLock { $0 = false } })
        } catch {
            isBusy.withLock { $0 = false }
            throw error
        }
    }
}

private final class SnapshotFileSink: StagingSink, @unchecked Sendable {
    // Used by one thread at a time, the transport's.
    private let store: SnapshotStore
    private let name: String
    private let file: any File
    private let description: SnapshotDescription
    private let ended: () -> Void
    private var offset = 0
    private var isOver = false

    init(
        store: SnapshotStore, name: String, file: any File, description: SnapshotDescription,
        ended: @escaping () -> Void
    ) {
        self.store = store
        self.name = name
        self.file = file
        self.description = description
        self.ended = ended
    }

    deinit { if !isOver { abort() } }

    func write(_ chunk: [UInt8]) throws {
        try chunk.withUnsafeBytes { try file.write($0, at: offset) }
        offset += chunk.count
    }

    func finish() throws -> ArrivedSnapshot {
        try file.synchronize()
        file.close()
        let head = try store.check(name, against: description)
        isOver = true
        ended()
        return ArrivedSnapshot(name: name, head: head, store: store)
    }

    func abort() {
        guard !isOver else { return }
        isOver = true
        file.close()
        store.discard(name)
        ended()
    }
}

/// A snapshot on its way to another member: written into a file first, on the transport's thread, and read from there,
/// so that a slow network holds neither the state nor more than a chunk of it in memory.
final class OutgoingStateSnapshot: SnapshotSource, @unchecked Sendable {
    // Used by one thread at a time, the transport's.
    private static let chunkBytes = 512 << 10
    private let head: SnapshotHead
    private var state: StateSnapshot?
    private let store: SnapshotStore
    private var written: (name: String, file: any File)?
    private var offset = 0

    init(head: SnapshotHead, state: StateSnapshot, store: SnapshotStore) {
        self.head = head
        self.state = state
        self.store = store
    }

    deinit {
        if let written {
            written.file.close()
            store.discard(written.name)
        }
    }

    func nextChunk() throws -> [UInt8]? {
        if let state {
            let name = try store.writeAside(head, state)
            self.state = nil
            do {
                written = (name, try store.fileSystem.open(store.path(name), .read))
            } catch {
                store.discard(name)
                throw error
            }
        }
        guard let written else { return nil }
        var count = 0
        let chunk = try [UInt8](unsafeUninitializedCapacity: Self.chunkBytes) { buffer, initialized in
            count = try written.file.read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            initialized = count
        }
        offset += count
        return count > 0 ? chunk : nil
    }
}
