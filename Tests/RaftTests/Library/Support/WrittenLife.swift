import Platform
import RaftCore
import WriteAheadLog

@testable import Raft

/// What a member of an old cluster has on its disk, written record by record.
struct WrittenLife {
    var id: NodeID = 1
    var clusterName = "raft"
    var members = (1...3).map { RaftPeer(id: NodeID(UInt64($0)), address: "m\($0)") }
    /// Applied before the snapshot that the life begins with.
    var firstValues: [String: String] = [:]
    var hardState = HardState(term: Term(1), commit: LogIndex(1))
    /// After the first place, 1 in term 1.
    var entries: [Entry] = []

    static func command(_ text: String, at index: UInt64, term: UInt64) -> Entry {
        var payload = [UInt8](repeating: 0, count: ProposalID.encodedBytes)
        ProposalID(origin: 9, sequence: index).write(into: &payload)
        return Entry(index: LogIndex(index), term: Term(term), payload: payload + [0] + Array(text.utf8))
    }

    static func change(_ changes: [MemberChange], of peers: [RaftPeer], at index: UInt64, term: UInt64) -> Entry {
        let change = ConfigurationChange(
            transition: .jointImplicit, changes: changes,
            context: [UInt8](repeating: 0, count: ProposalID.encodedBytes) + RosterCodec.encode(peers))
        return Entry(index: LogIndex(index), term: Term(term), kind: .configuration, payload: change.encode())
    }

    func write(to log: RaftLog) throws {
        let place = log.storage
        try place.fileSystem.createDirectory(place.root)
        _ = try DirectoryRegister.make(in: place.root, place.fileSystem)
        try place.fileSystem.createDirectory(place.snapshots)
        let store = SnapshotStore(directory: place.snapshots, fileSystem: place.fileSystem)
        _ = try store.bootstrap(members, KeyValues(values: firstValues).snapshot())
        var wal = try WriteAheadLog.open(
            directory: place.log, fileSystem: place.fileSystem,
            options: WALOptions(identity: MemberIdentity(clusterName: clusterName, id: id).bytes)
        ) { _, _, _ in }
        func append(_ kind: LogRecordKind, _ payload: [UInt8], _ wal: inout WriteAheadLog) throws {
            _ = try wal.append(kind: kind.record, payload)
        }
        try append(.base, LogRecord.encode(LogPlace(index: LogIndex(1), term: Term(1))), &wal)
        try append(.hardState, LogRecord.encode(hardState), &wal)
        for entry in entries {
            _ = try wal.append(
                kind: LogRecordKind.entry.record, byteCount: LogRecord.entryHeadBytes + entry.payload.count
            ) { LogRecord.write(entry, to: $0) }
        }
        try wal.close()
    }
}

/// Every file below a directory, by its path, to see whether anything has changed.
func allFiles(_ files: any FileSystem, _ directory: String) throws -> [String: [UInt8]] {
    var found: [String: [UInt8]] = [:]
    for name in try files.list(directory) {
        let path = "\(directory)/\(name)"
        if let inside = try? files.list(path) {
            if !inside.isEmpty { found.merge(try allFiles(files, path)) { $1 } }
            continue
        }
        let file = try files.open(path, .read)
        defer { file.close() }
        var bytes = [UInt8](repeating: 0, count: try file.size())
        _ = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        found[path] = bytes
    }
    return found
}
