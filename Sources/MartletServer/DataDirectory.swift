import Foundation
import Platform
import PlatformPOSIX
import Raft
import RaftCore
import Replica
import StorageEngine
import WriteAheadLog

/// A member's place on the disk, opened and checked: whose it is, and that nobody else uses it.
///
///     <data-dir>/member/lock          held while the member runs
///     <data-dir>/member/directory     its own id, and those of the other members' directories
///     <data-dir>/member/wal/          the write-ahead log (or --wal-dir)
///     <data-dir>/member/state/        the engine: state-<n>/, and incoming-<serial>/ while a snapshot arrives
struct DataDirectory: Sendable {
    let fileSystem = POSIXFileSystem()
    let logDirectory: String
    let engines: DirectoryEngines
    private let root: String
    private let lock: any FileLock

    /// What the log is marked with: cluster id and member id.
    static func identity(clusterID: UInt64, memberID: NodeID) -> [UInt8] {
        withUnsafeBytes(of: (clusterID.littleEndian, memberID.rawValue.littleEndian)) { Array($0) }
    }

    /// Whether there is one: what a member has locked once.
    static func exists(_ configuration: ServerConfiguration) -> Bool {
        POSIXFileSystem().exists("\(configuration.dataDirectory)/member/lock")
    }

    init(configuration: ServerConfiguration) throws(ConfigurationError) {
        let root = configuration.dataDirectory
        self.root = root
        let member = "\(root)/member"
        // A start would make an empty member beside it, and nobody would miss what was to be restored.
        guard !fileSystem.exists("\(root)/\(SnapshotRestore.unfinishedName)") else {
            throw ConfigurationError(
                "the data directory \(root) holds a restore that was cut off; run martlet snapshot restore again, "
                    + "which begins anew, or remove \(SnapshotRestore.unfinishedName) in it")
        }
        logDirectory = configuration.walDirectory ?? "\(member)/wal"
        do throws(FileError) {
            try fileSystem.createDirectory(member)
            guard let lock = try fileSystem.lock("\(member)/lock") else {
                throw FileError(
                    operation: "lock", path: "\(member)/lock", errno: EAGAIN, reason: "held by another process")
            }
            self.lock = lock
        } catch {
            if error.operation == "lock", error.errno == EAGAIN {
                throw ConfigurationError(
                    "the data directory \(root) is in use by another member that is running; stop it, or choose "
                        + "another "
                        + "--data-dir")
            }
            throw ConfigurationError(
                "the data directory \(root) cannot be used: \(error.operation) of \(error.path) failed: \(error.reason)"
            )
        }
        engines = configuration.engine.engines(in: "\(member)/state", fileSystem)
    }

    /// Who the members' directories are. There is one as soon as there is a machine.
    func openRegister() throws -> DirectoryRegister {
        if let register = try register() { return register }
        throw ConfigurationError(
            "the data directory \(root) has lost its file member/\(DirectoryRegister.fileName), which says which data "
                + "directories the members run on: a part of it was removed. Restore it from a copy, or remove the "
                + "member from the cluster and add it again with an empty directory")
    }

    private func register() throws -> DirectoryRegister? {
        do {
            return try DirectoryRegister.open(in: "\(root)/member", fileSystem)
        } catch let damage as DirectoryRegisterDamage {
            throw ConfigurationError(
                "\(damage): restore it from a copy, or remove the member from the cluster and add it again with an "
                    + "empty directory")
        }
    }

    /// Whose log it is; nil where there is none yet.
    func logIdentity() throws -> (clusterID: UInt64, memberID: NodeID)? {
        let bytes: [UInt8]?
        do throws(WALError) {
            bytes = try WriteAheadLog.identity(in: logDirectory, fileSystem)
        } catch {
            throw ConfigurationError(error, in: self)
        }
        guard let bytes else { return nil }
        guard bytes.count == 16 else {
            throw ConfigurationError(WALError.foreign(segment: 1, expected: [], found: bytes), in: self)
        }
        func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
        return (number(bytes[..<8]), NodeID(number(bytes[8...])))
    }

    /// Opens the state; nil where the directory is empty. Half of a member's data is refused before the other half is
    /// made anew.
    func openMachine() throws -> KeyValueMachine? {
        do {
            return try openWholeMachine()
        } catch let error as ConfigurationError {
            throw error
        } catch let failure as EngineMoveFailure {
            throw ConfigurationError(
                "the state in \(root) cannot be opened: \(failure). It is as it was: a start with --engine "
                    + "\(failure.from) goes on with it")
        } catch {
            throw ConfigurationError(
                "the state in \(root) cannot be opened: \(error). Nothing was changed; restore it from a copy, or "
                    + "remove the member from the cluster and add it again with an empty directory")
        }
    }

    private func openWholeMachine() throws -> KeyValueMachine? {
        let hasLog = try holdsLog()
        if try engines.holdsState(), let machine = try KeyValueMachine(engines: engines) {
            // A first start that was cut off leaves the log's directory, and a state that has applied nothing.
            let isNewborn = machine.applied == machine.origin && fileSystem.exists(logDirectory)
            guard hasLog || isNewborn else {
                throw ConfigurationError(
                    "the data directory \(root) holds a state without its log: \(logDirectory) "
                        + "was removed or is empty. Restore it from a copy, or remove the member from the cluster and "
                        + "add it again with an empty directory")
            }
            return machine
        }
        guard !hasLog else {
            throw ConfigurationError(
                "the data directory \(root) holds a log without its state: a part of it was "
                    + "removed. Restore it from a copy, or remove the member from the cluster and add it again with an "
                    + "empty directory")
        }
        return nil
    }

    /// Makes the first state of a new cluster, in an empty directory.
    func bootstrap(_ cluster: InitialCluster) throws -> KeyValueMachine {
        try makeMachine {
            try KeyValueMachine.bootstrap(
                engines: engines, clusterID: cluster.clusterID, members: cluster.firstRows)
        }
    }

    /// Makes the state of a member that waits for the cluster's, in an empty directory.
    func prepareToJoin(clusterID: UInt64) throws -> KeyValueMachine {
        try makeMachine { try KeyValueMachine.prepareToJoin(engines: engines, clusterID: clusterID) }
    }

    private func makeMachine(_ make: () throws -> Void) throws -> KeyValueMachine {
        // First, so that there is never a log or a state without it.
        if try register() == nil {
            _ = try DirectoryRegister.make(in: "\(root)/member", fileSystem)
        }
        try fileSystem.createDirectory(logDirectory)
        do {
            try make()
            if let machine = try KeyValueMachine(engines: engines) { return machine }
        } catch {
            throw ConfigurationError("the first state in \(root) cannot be made: \(error)")
        }
        throw ConfigurationError("the first state in \(root) could not be read back")
    }

    private func holdsLog() throws -> Bool {
        guard fileSystem.exists(logDirectory) else { return false }
        return try !fileSystem.list(logDirectory).isEmpty
    }
}

extension ConfigurationError {
    /// Why the log cannot be opened, and what to do.
    init(_ error: WALError, in directory: DataDirectory) {
        let log = directory.logDirectory
        let sentence =
            switch error {
            case .foreign:
                "the log in \(log) belongs to another member or cluster; use its own --data-dir, or the --name, "
                    + "--initial-cluster and --initial-cluster-token it was made with"
            case .corrupt(let segment, let offset, let reason):
                "the log in \(log) is damaged: segment \(segment), offset \(offset): \(reason). Nothing was changed; "
                    + "restore it from a copy, or remove the member from the cluster and add it again with an empty "
                    + "directory"
            case .missingSegment(let segment):
                "segment \(segment) of the log in \(log) is missing; restore it from a copy, or remove the member from "
                    + "the cluster and add it again with an empty directory"
            default: "the log in \(log) cannot be opened: \(error)"
            }
        self.init(sentence)
    }
}
