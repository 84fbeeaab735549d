import ArgumentParser
import MartletClient
import MartletServer
import Testing

@testable import martlet

@Suite struct SnapshotCommandTests {
    private func parse<Command>(_ type: Command.Type, _ arguments: [String]) throws -> Command {
        try #require(try Martlet.parseAsRoot(ArgumentNormalization.normalize(arguments)) as? Command)
    }

    private func planned(_ arguments: String...) throws -> SnapshotRestore {
        try parse(SnapshotRestoreCommand.self, ["snapshot", "restore"] + arguments).planned()
    }

    @Test func `restore has etcdutl's flags`() throws {
        let restore = try planned(
            "s.db", "--data-dir", "/d", "--wal-dir", "/w", "--name", "a", "--initial-cluster", "a=http://h:1",
            "--initial-cluster-token", "t", "--initial-advertise-peer-urls", "http://h:1", "--bump-revision", "5",
            "--mark-compacted", "--skip-hash-check=true")
        #expect(restore.file == "s.db" && restore.dataDirectory == "/d" && restore.walDirectory == "/w")
        #expect(restore.name == "a" && restore.initialCluster == "a=http://h:1" && restore.initialClusterToken == "t")
        #expect(restore.initialAdvertisePeerURLs == "http://h:1")
        #expect(restore.bump == 5 && !restore.checksDigest)
    }

    @Test func `restore's defaults move revisions on`() throws {
        let restore = try planned("s.db")
        #expect(restore.dataDirectory == "default.martlet" && restore.walDirectory == nil)
        #expect(restore.bump == 1_000_000_000 && restore.checksDigest)
        #expect(try planned("s.db", "--name", "b").dataDirectory == "b.martlet")
        #expect(try planned("s.db", "--bump-revision=0").bump == 0)
    }

    @Test func `contradictions and missing files are refused`() throws {
        #expect(throws: CommandFailure.self) { _ = try planned("s.db", "--bump-revision=0", "--mark-compacted") }
        #expect(throws: CommandFailure.self) { _ = try planned() }
        #expect(throws: CommandFailure.self) { _ = try planned("s.db", "t.db") }
        #expect(throws: CommandFailure.self) { _ = try planned("") }
        #expect(throws: (any Error).self) { _ = try planned("s.db", "--bump-revision=many") }
    }

    /// As etcdutl 3.5.1 and etcdctl 3.4.23 print them.
    @Test(arguments: [
        (OutputFormat.simple, "dec60d97, 8, 13, 20 kB\n"),
        (.json, #"{"hash":3737521559,"revision":8,"totalKey":13,"totalSize":20480}"# + "\n"),
        (.fields, "\"Hash\" : 3737521559\n\"Revision\" : 8\n\"Keys\" : 13\n\"Size\" : 20480\n"),
        (
            .table,
            """
            +----------+----------+------------+------------+
            |   HASH   | REVISION | TOTAL KEYS | TOTAL SIZE |
            +----------+----------+------------+------------+
            | dec60d97 |        8 |         13 |      20 kB |
            +----------+----------+------------+------------+

            """
        ),
    ])
    func `status prints as etcdctl does`(format: OutputFormat, expected: String) throws {
        let status = SnapshotOutput.Status(hash: 0xdec6_0d97, revision: 8, keyCount: 13, byteCount: 20_480)
        #expect(try String(decoding: SnapshotOutput.status(status, format), as: UTF8.self) == expected)
    }

    @Test func `saving says where, and which version the server has where it tells`() {
        #expect(SnapshotOutput.saved(at: "f", serverVersion: "") == "Snapshot saved at f\n")
        #expect(SnapshotOutput.saved(at: "f", serverVersion: "3.6.0") == "Snapshot saved at f\nServer version 3.6.0\n")
    }
}
