import Foundation

/// One case of a data-driven test file: a command line, input lines, and the output that is expected.
struct DataDrivenCase {
    struct Argument {
        var key: String
        var values: [String]
    }

    var line: Int
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

    static func files(in folder: String) -> [String] {
        guard let root else { return [] }
        let path = root.appendingPathComponent(folder).path
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter { $0.hasSuffix(".txt") }.sorted().map { "\(folder)/\($0)" }
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
                    line: start, command: command, arguments: arguments, input: input.joined(separator: "\n"),
                    expected: expected.joined(separator: "\n")))
        }
        return cases
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
        struct Unreadable: Error { var line: String }
        guard depth == 0, let command = words.first else { throw Unreadable(line: line) }
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
