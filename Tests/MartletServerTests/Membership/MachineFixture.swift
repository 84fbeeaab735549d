import Foundation
import Logging
import Raft
import RaftCore
import Replica
import WriteAheadLog

@testable import MartletServer

/// Flags of a member on this machine: `m1` at peer port 10001, and so on.
func configuration(
    _ number: Int, of count: Int, in root: String, state: ServerConfiguration.ClusterState = .new,
    token: String = "t", name: String? = nil, port: Int? = nil
) throws -> ServerConfiguration {
    let urls = (1...count).map { each in
        ServerURL(host: "10.0.0.1", port: each == number ? port ?? 10_000 + each : 10_000 + each)
    }
    let names = (1...count).map { $0 == number ? name ?? "m\($0)" : "m\($0)" }
    var configuration = ServerConfiguration(
        initialCluster: try InitialCluster(zip(names, urls).map { ($0, [$1]) }, token: token))
    configuration.name = names[number - 1]
    configuration.dataDirectory = "\(root)/m\(number)"
    configuration.initialClusterState = state
    configuration.initialAdvertisePeerURLs = [urls[number - 1]]
    return configuration
}

/// A state machine in a directory, and changes applied to it as the apply stage applies them.
final class MachineFixture {
    let root: String
    let first: ServerConfiguration
    let directory: DataDirectory
    private var held: KeyValueMachine?
    private var index: UInt64 = 1

    init(members count: Int) throws {
        root = NSTemporaryDirectory() + "martlet-members-\(UUID().uuidString)"
        first = try configuration(1, of: count, in: root)
        directory = try DataDirectory(configuration: first)
        held = try directory.bootstrap(first.initialCluster)
    }

    deinit {
        release()
        try? FileManager.default.removeItem(atPath: root)
    }

    /// Open, but for the time after ``release()``.
    var machine: KeyValueMachine {
        guard let held else { preconditionFailure("the machine was released") }
        return held
    }

    /// The engine is open once in a process: for whoever opens it next.
    func release() {
        held?.close()
        held = nil
    }

    var view: ReplicaView { get throws { try machine.view } }
    var ids: [NodeID] { first.initialCluster.members.map(\.id) }

    private func next() -> AppliedPlace {
        index += 1
        return AppliedPlace(index: LogIndex(index), term: Term(1))
    }

    @discardableResult
    func apply(_ change: ConfigurationChange) throws -> ReplicaResult {
        if let objection = machine.objection(to: change, context: change.context) {
            try machine.skip(at: next())
            return objection
        }
        return try machine.apply(
            try machine.configuration.applying(change), context: change.context, at: next())
    }

    /// The member has started, and tells its name.
    func publish(_ id: NodeID, _ name: String) throws {
        let member = Member(id: id, name: name, peerURLs: ["ignored"], clientURLs: ["http://c-\(name):1"])
        let command = [CommandRoom.memberAttributes.rawValue] + member.encode()
        _ = try command.withUnsafeBytes { try machine.apply($0, at: next(), isAwaited: false) }
    }

    /// A command as it lies in the log.
    @discardableResult
    func apply(_ room: CommandRoom, _ record: [UInt8]) throws -> ReplicaResult {
        let command = [room.rawValue] + record
        return try command.withUnsafeBytes { try machine.apply($0, at: next(), isAwaited: true) }
    }

    /// Everything is written, and read again.
    func reopen() throws {
        if let job = try machine.beginFlush() {
            try job.run()
            try machine.endFlush()
        }
        try makeLog(as: first.ownMember.id)
        release()
        held = try directory.openMachine()
    }

    /// An empty log, as the member would have made it.
    func makeLog(as id: NodeID, cluster: UInt64? = nil) throws {
        try MartletServerTests.makeLog(
            directory, DataDirectory.identity(clusterID: try cluster ?? machine.view.clusterID, memberID: id))
    }
}

func makeLog(_ directory: DataDirectory, _ identity: [UInt8]) throws {
    let log = try WriteAheadLog.open(
        directory: directory.logDirectory, fileSystem: directory.fileSystem,
        options: WALOptions(identity: identity, salt: 1)
    ) { _, _, _ in }
    try log.close()
}

/// As the port for members tells them; empty, which is no list, if that cannot be.
func encoded(_ members: [PeerMember]) -> [UInt8] {
    do { return Array(try JSONEncoder().encode(members)) } catch { return [] }
}

let quietLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
