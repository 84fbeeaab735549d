import Foundation
import Testing

@testable import RaftCore

/// Our own scenarios, in the style of upstream's (`Scenarios/README.md` has the commands). `RAFT_SCENARIOS_REWRITE=1`
/// writes what happens into the files, for a person to read and to judge; without it, they are compared.
@Suite struct `Our own scenarios` {
    private static let folder: URL = {
        // Tests/RaftCoreTests/DataDriven/OwnScenarioTests.swift
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Scenarios")
    }()
    private static let rewrites = ProcessInfo.processInfo.environment["RAFT_SCENARIOS_REWRITE"] == "1"

    @Test func `they are there`() {
        #expect(TestData.textFiles(in: Self.folder).count >= 6)
    }

    @Test(arguments: TestData.textFiles(in: folder))
    func `every command does what the file says`(file: String) throws {
        let path = Self.folder.appendingPathComponent(file)
        let text = try String(contentsOf: path, encoding: .utf8)
        let cases = try TestData.parse(text)
        #expect(!cases.isEmpty)
        var cluster = ScenarioCluster()
        var isSilent = false
        var outputs: [String] = []
        for each in cases {
            let transcript = try cluster.run(each)
            if each.command == "log-level" { isSilent = each.arguments.first?.key == "none" }
            let lines = transcript.output.isEmpty ? transcript.events : transcript.output
            let output = lines.isEmpty || isSilent ? "ok" : lines.joined(separator: "\n")
            if !Self.rewrites { #expect(output == each.expected, "\(file):\(each.line) \(each.command)") }
            outputs.append(output)
        }
        guard Self.rewrites else { return }
        try TestData.rewrite(text, cases, outputs: outputs).write(to: path, atomically: true, encoding: .utf8)
    }

    @Test func `rewriting changes the outputs and nothing else`() throws {
        let text = "# Why.\nraft-state\n----\nold\nolder\n\n\nstatus 1\n----\n\n# The end.\n"
        let cases = try TestData.parse(text)
        let new = TestData.rewrite(text, cases, outputs: ["new", "one\ntwo"])
        #expect(new == "# Why.\nraft-state\n----\nnew\n\n\nstatus 1\n----\none\ntwo\n\n# The end.\n")
        #expect(try TestData.parse(new).map(\.expected) == ["new", "one\ntwo"])
    }
}
