import Foundation
import MVCC
import Raft
import RaftCore
import Replica
import Testing

@testable import MartletServer

@Suite struct SnapshotRestoreTests {
    private let root = NSTemporaryDirectory() + "martlet-restore-\(UUID().uuidString)"

    private final class Cleaner {
        let path: String
        init(_ path: String) { self.path = path }
        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    /// A snapshot file with some keys in it.
    private func made(keys: Int = 50) throws -> (file: String, cleaner: Cleaner) {
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        let fixture = try MachineFixture(members: 3)
        for number in 0..<keys {
            let command = Command.put(PutOperation(key: Array("k\(number)".utf8), value: [1, 2, 3]))
            let record = [CommandRoom.keyValue.rawValue] + CommandCodec.encode(command)
            let place = AppliedPlace(index: LogIndex(UInt64(number) + 2), term: Term(1))
            _ = try record.withUnsafeBytes { try fixture.machine.apply($0, at: place, isAwaited: false) }
        }
        let source = SnapshotFileSource(
            try fixture.view.store, clusterID: try fixture.view.clusterID, memberID: 1, writer: "test")
        while try !source.measure() {}
        let file = root + "/state.db"
        var download = try SnapshotDownload(to: file)
        while let piece = try source.nextPiece() { try download.take(Data(piece)) }
        try download.finish()
        return (file, Cleaner(root))
    }

    private func restore(_ file: String, _ number: Int, of count: Int, token: String = "t") throws -> SnapshotRestore {
        let flags = try configuration(number, of: count, in: root, token: token)
        var restore = SnapshotRestore(file: file, dataDirectory: flags.dataDirectory)
        restore.name = flags.name
        restore.initialCluster = (1...count).map { "m\($0)=http://10.0.0.1:\(10_000 + $0)" }.joined(separator: ",")
        restore.initialClusterToken = token
        restore.initialAdvertisePeerURLs = "http://10.0.0.1:\(10_000 + number)"
        return restore
    }

    private func start(_ flags: ServerConfiguration) throws -> (machine: KeyValueMachine, id: NodeID) {
        var join = ClusterJoin(configuration: flags, logger: quietLogger)
        join.pause = {}
        join.get = { _ in .failure(.init(description: "nobody")) }
        let start = try MemberStart(try DataDirectory(configuration: flags), flags, join)
        return (start.machine, start.memberID)
    }

    @Test func `each member starts as itself, in one cluster, with the keys`() throws {
        let (file, cleaner) = try made()
        defer { withExtendedLifetime(cleaner) {} }
        var clusters: Set<UInt64> = []
        for number in 1...3 {
            let result = try restore(file, number, of: 3).run()
            let (machine, id) = try start(configuration(number, of: 3, in: root))
            let view = try machine.view
            #expect(id == result.memberID)
            #expect(view.members.count == 3 && view.configuration.voters.count == 3)
            #expect(try view.store.range(RangeQuery(KeyRange(key: [0], rangeEnd: [0]))).count == 50)
            #expect(view.store.revision.rawValue == 51 + SnapshotRestore.bumpDefault)
            clusters.insert(view.clusterID)
            machine.close()
        }
        #expect(clusters.count == 1)
        // Under these flags, with nothing, a member would be part of another cluster.
        #expect(try clusters.first != configuration(1, of: 3, in: root).initialCluster.clusterID)
    }

    @Test func `a member is not started with flags of another cluster`() throws {
        let (file, cleaner) = try made()
        defer { withExtendedLifetime(cleaner) {} }
        _ = try restore(file, 1, of: 3).run()
        for flags in [
            try configuration(1, of: 3, in: root, token: "u"), try configuration(1, of: 2, in: root),
        ] {
            #expect(throws: ConfigurationError.self) { _ = try start(flags) }
        }
    }

    @Test func `what is refused leaves nothing behind`() throws {
        let (file, cleaner) = try made()
        defer { withExtendedLifetime(cleaner) {} }
        let content = try Data(contentsOf: URL(fileURLWithPath: file))
        try content.dropLast(5).write(to: URL(fileURLWithPath: root + "/cut.db"))
        func message(_ change: (inout SnapshotRestore) -> Void) throws -> String {
            var attempt = try restore(file, 1, of: 3)
            change(&attempt)
            do throws(ConfigurationError) {
                _ = try attempt.run()
                return "it was restored"
            } catch {
                return error.message
            }
        }
        #expect(try message { $0.file = root + "/cut.db" }.contains("is cut off"))
        #expect(try message { $0.file = root + "/none.db" }.contains("there is no file"))
        #expect(try message { $0.file = root }.contains("is a directory"))
        #expect(try message { $0.name = "other" }.contains("no member named"))
        #expect(try message { $0.initialAdvertisePeerURLs = "http://10.0.0.9:1" }.contains("must name the same URLs"))
        #expect(try message { $0.bump = -1 }.contains("--bump-revision"))
        #expect(try message { $0.bump = .max }.contains("--bump-revision"))
        #expect(!FileManager.default.fileExists(atPath: root + "/m1"))
        // Somebody else's files are not touched; what an attempt that was killed has left is cleared away.
        try FileManager.default.createDirectory(atPath: root + "/m1", withIntermediateDirectories: true)
        try Data("mine".utf8).write(to: URL(fileURLWithPath: root + "/m1/file"))
        #expect(try message { _ in }.contains("is not empty (it holds file)"))
        try FileManager.default.removeItem(atPath: root + "/m1/file")
        try FileManager.default.createDirectory(
            atPath: root + "/m1/member.restoring/state/state-1", withIntermediateDirectories: true)
        #expect(throws: ConfigurationError.self) { _ = try start(configuration(1, of: 3, in: root)) }
        #expect(try message { _ in } == "it was restored")
        #expect(try FileManager.default.contentsOfDirectory(atPath: root + "/m1") == ["member"])
        #expect(try message { _ in }.contains("is not empty (it holds member)"))
    }

    @Test func `what arrives is a file when it is whole and right, and nothing else`() throws {
        let (file, cleaner) = try made()
        defer { withExtendedLifetime(cleaner) {} }
        let content = try Data(contentsOf: URL(fileURLWithPath: file))
        let target = root + "/arrived.db"
        func arrive(_ bytes: Data, pieces: Int) -> Bool {
            do {
                var download = try SnapshotDownload(to: target)
                var rest = bytes[...]
                while !rest.isEmpty {
                    try download.take(Data(rest.prefix(pieces)))
                    rest = rest.dropFirst(pieces)
                }
                try download.finish()
                return true
            } catch {
                return false
            }
        }
        var flipped = content
        flipped[700] ^= 1
        for bad in [Data(), content.dropLast(1), content.dropLast(32), content.dropLast(512), flipped] {
            #expect(!arrive(bad, pieces: 1_000))
            #expect(!FileManager.default.fileExists(atPath: target))
            #expect(!FileManager.default.fileExists(atPath: target + ".part"))
        }
        for pieces in [1, 31, 32, 33, 4_096, 1 << 20] {
            #expect(arrive(content, pieces: pieces))
            #expect(try Data(contentsOf: URL(fileURLWithPath: target)) == content)
        }
    }
}
