import ArgumentParser
import EtcdAPI
import Foundation
import MartletClient
import MartletServer

struct SnapshotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Saves a cluster's state into a file, and makes a cluster of one.",
        subcommands: [SnapshotSaveCommand.self, SnapshotStatusCommand.self, SnapshotRestoreCommand.self])

    /// The one file that a command is about.
    static func file(_ arguments: [String], _ name: String) throws(CommandFailure) -> String {
        guard arguments.count == 1, let file = arguments.first, !file.isEmpty else {
            throw .badArguments("snapshot \(name) expects one argument: the file's name")
        }
        return file
    }
}

struct SnapshotSaveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "save", abstract: "Saves a member's state into a file, while it goes on serving.",
        discussion:
            "The file appears under its name when it is whole, its hash was found right, and it is on the disk.")

    @Argument(help: "The file.") var arguments: [String] = []
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let path = try SnapshotCommand.file(arguments, "save")
        let endpoints = try global.servers()
        guard endpoints.count == 1 else {
            throw CommandFailure.badArguments(
                "snapshot must be requested to one selected node, not multiple "
                    + "[\(endpoints.map(\.text).joined(separator: " "))]")
        }
        // As etcdctl: it takes as long as it takes, unless somebody said how long.
        let isLimited = global.commandTimeout != nil || global.environment("COMMAND_TIMEOUT") != nil
        let limit = isLimited ? try global.timeout() : nil
        let client = try global.client(of: endpoints)
        var download = try SnapshotDownload(to: path)
        var version = ""
        do throws(SnapshotFailure<ConfigurationError>) {
            try await client.snapshot(within: limit) { (piece) throws(ConfigurationError) in
                if !piece.version.isEmpty { version = piece.version }
                try download.take(piece.blob)
            }
        } catch {
            download.giveUp()
            await client.shutdown()
            switch error {
            case .call(let error): throw CommandFailure(error, timeout: limit ?? .zero)
            case .taking(let error): throw CommandFailure.failed(error.message)
            }
        }
        await client.shutdown()
        do throws(ConfigurationError) {
            try download.finish()
        } catch {
            throw CommandFailure.failed(error.message)
        }
        Output.print(SnapshotOutput.saved(at: path, serverVersion: version))
    }
}

struct SnapshotStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Checks a snapshot file, and says what is in it.")

    @Argument(help: "The file.") var arguments: [String] = []
    @OptionGroup var global: GlobalOptions

    func run() throws {
        let path = try SnapshotCommand.file(arguments, "status")
        let format = try global.format()
        let status: SnapshotFiles.Status
        do throws(ConfigurationError) {
            status = try SnapshotFiles.status(of: path)
        } catch {
            throw CommandFailure.failed(error.message)
        }
        try global.write { () throws(UnsupportedFormat) in
            try SnapshotOutput.status(
                SnapshotOutput.Status(
                    hash: status.hash, revision: status.revision, keyCount: status.keyCount,
                    byteCount: status.contentBytes), format)
        }
    }
}

struct SnapshotRestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Makes a member's data directory of a snapshot file, for a new cluster.",
        discussion: """
            Run it once for each member of the new cluster, with the same file and the same --initial-cluster, \
            --initial-cluster-token and --bump-revision; then start each with martlet serve and these flags.

            Revisions move on, and everything before counts as compacted, so that clients which knew later revisions \
            of the old cluster notice, and never see a revision for the second time. --bump-revision 0 leaves them.
            """)

    @Argument(help: "The file.") var arguments: [String] = []
    @Option(
        help: ArgumentHelp("The directory to be made. (default: the name, and .martlet)", valueName: "path"))
    var dataDir: String?
    @Option(help: ArgumentHelp("A directory of its own for the log.", valueName: "path")) var walDir: String?
    @Option(help: "The member's name.") var name = "default"
    @Option(
        help: ArgumentHelp(
            "The new cluster's members: name=http://host:port for each, with commas between them.",
            valueName: "members"))
    var initialCluster: String?
    @Option(help: ArgumentHelp("The new cluster's token.", valueName: "text"))
    var initialClusterToken = "etcd-cluster"
    @Option(help: ArgumentHelp("Where other members find this one.", valueName: "urls"))
    var initialAdvertisePeerUrls = "http://localhost:2380"
    @Flag(help: "Take a file without a hash at its end, or with a wrong one.") var skipHashCheck = false
    @Option(help: ArgumentHelp("How far revisions move on.", valueName: "number"))
    var bumpRevision = SnapshotRestore.bumpDefault
    @Flag(help: "Let everything before the new revision count as compacted: so it is wherever revisions move on.")
    var markCompacted = false
    @OptionGroup var global: GlobalOptions

    func planned() throws(CommandFailure) -> SnapshotRestore {
        let file = try SnapshotCommand.file(arguments, "restore")
        if markCompacted, bumpRevision == 0 {
            throw .badArguments("--mark-compacted goes with revisions that move on; leave it out, or --bump-revision 0")
        }
        var restore = SnapshotRestore(file: file, dataDirectory: dataDir ?? name + ".martlet")
        restore.walDirectory = walDir
        restore.name = name
        restore.initialCluster = initialCluster
        restore.initialClusterToken = initialClusterToken
        restore.initialAdvertisePeerURLs = initialAdvertisePeerUrls
        restore.bump = bumpRevision
        restore.checksDigest = !skipHashCheck
        return restore
    }

    func run() throws {
        let restore = try planned()
        let result: SnapshotRestore.Result
        do throws(ConfigurationError) {
            result = try restore.run()
        } catch {
            throw CommandFailure.failed(error.message)
        }
        Output.print(Self.report(result, restore))
    }

    static func report(_ result: SnapshotRestore.Result, _ restore: SnapshotRestore) -> String {
        let initialCluster = result.members.sorted { $0.name < $1.name }.flatMap { member in
            member.peerURLs.map { "\(member.name)=\($0)" }
        }.joined(separator: ",")
        let revisions =
            result.bump == 0
            ? "The revision stays \(result.revisionBefore) (--bump-revision 0): clients that knew later revisions of "
                + "the old cluster will see the same numbers again, with other content.\n"
            : "Revisions moved on by \(result.bump), from \(result.revisionBefore) to \(result.revisionAfter), and "
                + "everything before counts as compacted.\n"
        return """
            Restored \(result.keyCount) keys from \(restore.file) into \(restore.dataDirectory).
            \(revisions)Member \(GoText.hex(result.memberIDValue)) of cluster \(GoText.hex(result.clusterID)). \
            Start it with:
              martlet serve --name \(restore.name) --data-dir \(restore.dataDirectory) \
            \(restore.walDirectory.map { "--wal-dir \($0) " } ?? "")\
            --initial-cluster \(initialCluster) --initial-cluster-token \(restore.initialClusterToken) \
            --initial-advertise-peer-urls \(restore.initialAdvertisePeerURLs)

            """
    }
}
