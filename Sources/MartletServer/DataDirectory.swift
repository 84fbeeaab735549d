import Foundation
import LMDBEngine
import Platform
import PlatformPOSIX
import Raft
import RaftCore
import Replica
import StorageEngine

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
        engines = DirectoryEngines(
            directory: "\(member)/state", fileSystem: fileSystem, open: { try LMDBEngine(path: $0) },
            isMade: { LMDBEngine.exists(at: $0) })
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

    /// Opens the state, making the first state of a new cluster where the directory is empty. Half of a member's data
    /// is refused before the other half is made anew.
    func openMachine(_ configuration: ServerConfiguration) throws -> KeyValueMachine {
        let cluster = configuration.initialCluster
        let hasLog = try holdsLog()
        if try engines.holdsState(), let machine = try KeyValueMachine(engines: engines) {
            // A first start that was cut off leaves the log's directory, and a state that has applied nothing.
            let isNewborn = machine.applied == machine.origin && fileSystem.exists(logDirectory)
            guard hasLog || isNewborn else {
                throw ConfigurationError(
                    "the data directory \(configuration.dataDirectory) holds a state without its log: \(logDirectory) "
                        + "was removed or is empty. Restore it from a copy, or remove the member from the cluster and "
                        + "add it again with an empty directory")
            }
            return machine
        }
        guard !hasLog else {
            throw ConfigurationError(
                "the data directory \(configuration.dataDirectory) holds a log without its state: a part of it was "
                    + "removed. Restore it from a copy, or remove the member from the cluster and add it again with an "
                    + "empty directory")
        }
        guard configuration.initialClusterState == .new else {
            throw ConfigurationError(
                "--initial-cluster-state existing: joining a running cluster is not available yet, and the data "
                    + "directory \(configuration.dataDirectory) is empty; start a new cluster with "
                    + "--initial-cluster-state new")
        }
        // First, so that there is never a log or a state without it.
        if try register() == nil {
            _ = try DirectoryRegister.make(in: "\(root)/member", fileSystem)
        }
        try fileSystem.createDirectory(logDirectory)
        try KeyValueMachine.bootstrap(
            engines: engines, clusterID: cluster.clusterID,
            members: cluster.members.map { member in
                Member(
                    id: member.id, name: "", peerURLs: member.peerURLs.map(\.description), clientURLs: [])
            })
        guard let machine = try KeyValueMachine(engines: engines) else {
            throw ConfigurationError("the first state in \(configuration.dataDirectory) could not be read back")
        }
        return machine
    }

    private func holdsLog() throws -> Bool {
        guard fileSystem.exists(logDirectory) else { return false }
        return try !fileSystem.list(logDirectory).isEmpty
    }
}
