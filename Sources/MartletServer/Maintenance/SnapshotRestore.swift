import Foundation
import MVCC
import PeerTransport
import Platform
import PlatformPOSIX
import Raft
package import RaftCore
package import Replica

/// Makes a member's data directory of a snapshot file, for a cluster that begins with it: `martlet snapshot restore`.
///
/// A file that is not whole is refused before anything is made. What is made stands under another name until it is
/// complete: a directory that is half restored is never taken for a member's.
package struct SnapshotRestore: Sendable {
    /// How far revisions move on where nothing else is said: further than any cluster writes in the time that backups
    /// are apart.
    package static let bumpDefault: Int64 = 1_000_000_000

    package var file: String
    package var dataDirectory: String
    /// Nil: inside the data directory.
    package var walDirectory: String?
    package var name = "default"
    /// As the flag has it; nil: this member alone.
    package var initialCluster: String?
    package var initialClusterToken = "etcd-cluster"
    package var initialAdvertisePeerURLs = "http://localhost:2380"
    package var bump = bumpDefault
    package var checksDigest = true

    package init(file: String, dataDirectory: String) {
        self.file = file
        self.dataDirectory = dataDirectory
    }

    /// What was made.
    package struct Result: Sendable {
        package var header: SnapshotFileHeader
        package var restoration: Restoration
        package var memberID: NodeID
        package var members: [InitialCluster.Member]

        // For who prints it, without the types of other targets.
        package var keyCount: UInt64 { header.keyCount }
        package var bump: Int64 { restoration.bump }
        package var revisionBefore: Int64 { restoration.revision.rawValue }
        package var revisionAfter: Int64 { revisionBefore + bump }
        package var clusterID: UInt64 { restoration.clusterID }
        package var memberIDValue: UInt64 { memberID.rawValue }
    }

    static let unfinishedName = "member.restoring"

    package func run() throws(ConfigurationError) -> Result {
        let cluster = try plannedCluster()
        guard (0...Restoration.bumpMax).contains(bump) else {
            throw ConfigurationError(
                "--bump-revision is \(bump); revisions move on by 0 (not at all) to \(Restoration.bumpMax)")
        }
        let fileSystem = POSIXFileSystem()
        let reader = try SnapshotFiles.open(file, fileSystem, checksDigest: checksDigest)
        do {
            _ = try reader.check()
        } catch {
            throw SnapshotFiles.refusal(of: file, error)
        }
        let madeRoot = try checkTarget(fileSystem)
        do {
            return try make(cluster, reader, fileSystem)
        } catch {
            // What cannot be removed is no member's directory, and the next attempt clears it away.
            try? fileSystem.removeTree("\(dataDirectory)/\(Self.unfinishedName)")
            if madeRoot { try? fileSystem.removeTree(dataDirectory) }
            if let error = error as? ConfigurationError { throw error }
            throw ConfigurationError("the snapshot \(file) cannot be restored into \(dataDirectory): \(error)")
        }
    }

    private func plannedCluster() throws(ConfigurationError) -> InitialCluster {
        let urls: [ServerURL]
        do throws(ConfigurationError) {
            urls = try ServerURL.list(parsing: initialAdvertisePeerURLs)
        } catch {
            throw ConfigurationError("--initial-advertise-peer-urls: \(error.message)")
        }
        guard let initialCluster else { return try InitialCluster([(name, urls)], token: initialClusterToken) }
        let cluster = try InitialCluster(parsing: initialCluster, token: initialClusterToken)
        guard let own = cluster.member(named: name) else {
            throw ConfigurationError(
                "--initial-cluster has no member named \"\(name)\", only "
                    + cluster.members.map(\.name).sorted().joined(separator: ", ") + "; --name must be one of these")
        }
        guard Set(own.peerURLs) == Set(urls) else {
            throw ConfigurationError(
                "--initial-cluster has \(name) at \(own.peerURLs.map(\.description).joined(separator: ",")), but "
                    + "--initial-advertise-peer-urls says \(urls.map(\.description).joined(separator: ",")); both must "
                    + "name the same URLs")
        }
        return cluster
    }

    /// Refuses directories that hold something. True if the data directory is not there yet.
    private func checkTarget(_ fileSystem: POSIXFileSystem) throws(ConfigurationError) -> Bool {
        let isThere = fileSystem.exists(dataDirectory)
        for directory in [dataDirectory] + (walDirectory.map { [$0] } ?? []) where fileSystem.exists(directory) {
            do throws(FileError) {
                let names = try fileSystem.list(directory).filter { $0 != Self.unfinishedName }
                guard names.isEmpty else {
                    throw FileError(operation: "", path: "", errno: ENOTEMPTY, reason: names[0])
                }
            } catch  where error.operation.isEmpty {
                throw ConfigurationError(
                    "the directory \(directory) is not empty (it holds \(error.reason)); restore into a new one")
            } catch {
                throw ConfigurationError("the directory \(directory) cannot be read: \(error.reason)")
            }
        }
        return !isThere
    }

    private func make(
        _ cluster: InitialCluster, _ reader: SnapshotFileReader, _ fileSystem: POSIXFileSystem
    ) throws -> Result {
        let unfinished = "\(dataDirectory)/\(Self.unfinishedName)"
        if fileSystem.exists(unfinished) { try fileSystem.removeTree(unfinished) }
        try fileSystem.createDirectory(unfinished)
        // A member that is started with another engine moves it.
        let engines = EngineChoice.lmdb.engines(in: "\(unfinished)/state", fileSystem)
        let plan = RestorePlan(
            initialClusterID: cluster.clusterID, members: cluster.firstRows, bump: bump)
        let restoration: Restoration
        do {
            restoration = try KeyValueMachine.restore(reader, by: plan, engines: engines)
        } catch let error as SnapshotFileError {
            throw SnapshotFiles.refusal(of: file, error)
        }
        _ = try DirectoryRegister.make(in: unfinished, fileSystem)
        // Empty: the log begins with the first start. Where there is no place for it, a state looks like the half of
        // something.
        try fileSystem.createDirectory(walDirectory ?? "\(unfinished)/wal")
        // What a start looks for first.
        if let lock = try fileSystem.lock("\(unfinished)/lock") { lock.release() }
        try fileSystem.synchronizeDirectory("\(unfinished)/state")
        try fileSystem.synchronizeDirectory(unfinished)
        try fileSystem.rename(unfinished, to: "\(dataDirectory)/member")
        try fileSystem.synchronizeDirectory(dataDirectory)
        guard let own = cluster.member(named: name) else { preconditionFailure("checked when it was planned") }
        return Result(
            header: reader.header, restoration: restoration, memberID: own.id, members: cluster.members)
    }
}

/// Snapshot files by their names.
package enum SnapshotFiles {
    /// What `martlet snapshot status` says of a file.
    package struct Status: Sendable {
        package var header: SnapshotFileHeader
        package var content: SnapshotFileReader.Content
        package var fileBytes: UInt64

        package var hash: UInt32 { content.checksum }
        package var revision: Int64 { header.revision.rawValue }
        package var keyCount: UInt64 { header.keyCount }
        package var contentBytes: UInt64 { header.contentBytes }
    }

    /// Reads the whole file, and believes it only if all of it is right.
    package static func status(of path: String) throws(ConfigurationError) -> Status {
        let reader = try open(path, POSIXFileSystem())
        do {
            return Status(header: reader.header, content: try reader.check(), fileBytes: reader.fileBytes)
        } catch {
            throw refusal(of: path, error)
        }
    }

    static func open(
        _ path: String, _ fileSystem: POSIXFileSystem, checksDigest: Bool = true
    ) throws(ConfigurationError) -> SnapshotFileReader {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), !isDirectory.boolValue else {
            throw ConfigurationError(
                isDirectory.boolValue ? "\(path) is a directory, not a snapshot" : "there is no file \(path)")
        }
        do {
            return try SnapshotFileReader(try fileSystem.open(path, .read), checksDigest: checksDigest)
        } catch let error as FileError {
            throw ConfigurationError("\(path) cannot be read: \(error.reason)")
        } catch {
            throw refusal(of: path, error)
        }
    }

    static func refusal(of path: String, _ error: any Error) -> ConfigurationError {
        guard let error = error as? SnapshotFileError else {
            return ConfigurationError("\(path) cannot be used: \(error)")
        }
        let advice =
            switch error {
            case .cut, .damaged, .tooLong: "; use another copy"
            case .wrongDigest: "; use another copy (--skip-hash-check restores it all the same, chunks keep checksums)"
            case .foreign, .unknownFormat, .unreadable: ""
            }
        return ConfigurationError("\(path) \(error)\(advice)")
    }
}
