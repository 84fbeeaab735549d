import Foundation

/// One case of a data-driven test file: a command line, input lines, and the output that is expected.
struct DataDrivenCase {
    struct Argument {
        var key: String
        var values: [String]
    }

    var line: Int
    /// The lines of the file that hold the expected output, counted from zero.
    var expectedLines: Range<Int>
    var command: String
    var arguments: [Argument]
    var input: String
    var expected: String

    func argument(_ key: String) -> Argument? { arguments.first { $0.key == key } }
    func value(_ key: String) -> String? { argument(key)?.values.first }
    func flag(_ key: String) -> Bool? { value(key).map { $0 == "true" } }
    /// The numbers that are given without a key.
    var positional: [UInt64] { arguments.filter { $0.values.isEmpty }.compactMap { UInt64($0.key) } }
}

/// A data-driven file asks for something that the runner does not know: never passed over.
struct ScenarioError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

enum TestData {
    /// The folder with upstream's cases, or nil where it is not at hand.
    static let root: URL? = {
        let path: String
        if let named = ProcessInfo.processInfo.environment["RAFT_TESTDATA"] {
            path = named
        } else {
            // Tests/RaftCoreTests/Support/DataDriven.swift
            var package = URL(fileURLWithPath: #filePath)
            for _ in 0..<4 { package.deleteLastPathComponent() }
            path = package.appendingPathComponent("../shared/raft-testdata").standardizedFileURL.path
        }
        return FileManager.default.fileExists(atPath: path) ? URL(fileURLWithPath: path) : nil
    }()

    static let isPresent = root != nil
    static let absence: String = "no test data: set RAFT_TESTDATA to a folder with etcd-io/raft's data-driven cases"
    /// The folder was named, and must not go missing without a word.
    static let isNamed = ProcessInfo.processInfo.environment["RAFT_TESTDATA"] != nil

    static let folders = ["quorum/testdata", "confchange/testdata", "testdata"]

    static func files(in folder: String) -> [String] {
        guard let root else { return [] }
        return textFiles(in: root.appendingPathComponent(folder)).map { "\(folder)/\($0)" }
    }

    static func textFiles(in folder: URL) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasSuffix(".txt") }.sorted()
    }

    static func cases(in file: String) throws -> [DataDrivenCase] {
        guard let root else { return [] }
        return try parse(String(contentsOf: root.appendingPathComponent(file), encoding: .utf8))
    }

    static func parse(_ text: String) throws -> [DataDrivenCase] {
        var cases: [DataDrivenCase] = []
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var at = 0
        while at < lines.count {
            let line = lines[at].trimmingCharacters(in: .whitespaces)
            if line.isEmpty || line.hasPrefix("#") {
                at += 1
                continue
            }
            let start = at + 1
            let (command, arguments) = try parseCommand(line)
            at += 1
            var input: [String] = []
            while at < lines.count, lines[at] != "----" {
                input.append(lines[at])
                at += 1
            }
            at += 1
            var expected: [String] = []
            let output = at
            // A second ruler: the output has blank lines and ends with another two.
            if at < lines.count, lines[at] == "----" {
                at += 1
                while at + 1 < lines.count, !(lines[at] == "----" && lines[at + 1] == "----") {
                    expected.append(lines[at])
                    at += 1
                }
                at += 2
            } else {
                while at < lines.count, !lines[at].trimmingCharacters(in: .whitespaces).isEmpty {
                    expected.append(lines[at])
                    at += 1
                }
            }
            cases.append(
                DataDrivenCase(
                    line: start, expectedLines: output..<at, command: command, arguments: arguments,
                    input: input.joined(separator: "\n"),
                    expected: expected.joined(separator: "\n")))
        }
        return cases
    }

    /// The text with these outputs in place of those that it has.
    static func rewrite(_ text: String, _ cases: [DataDrivenCase], outputs: [String]) -> String {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        for (each, output) in zip(cases, outputs).reversed() {
            lines.replaceSubrange(each.expectedLines, with: output.split(separator: "\n").map(String.init))
        }
        return lines.joined(separator: "\n")
    }

    /// `command key key=value key=(value, value)`
    private static func parseCommand(_ line: String) throws -> (String, [DataDrivenCase.Argument]) {
        var words: [String] = []
        var word = ""
        var depth = 0
        for character in line {
            switch character {
            case "(":
                depth += 1
                word.append(character)
            case ")":
                depth -= 1
                word.append(character)
            case " " where depth == 0:
                if !word.isEmpty { words.append(word) }
                word = ""
            default: word.append(character)
            }
        }
        if !word.isEmpty { words.append(word) }
        guard depth == 0, let command = words.first else { throw ScenarioError("unreadable: \(line)") }
        let arguments = words.dropFirst().map { word -> DataDrivenCase.Argument in
            guard let equals = word.firstIndex(of: "=") else { return .init(key: word, values: []) }
            let key = String(word[..<equals])
            var value = String(word[word.index(after: equals)...])
            if value.hasPrefix("(") { value = String(value.dropFirst().dropLast()) }
            let values = value.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
            return .init(key: key, values: values)
        }
        return (command, Array(arguments))
    }
}
