import Testing

@testable import RaftCore

@Suite struct `Whole-cluster scenarios, by upstream's transcripts` {
    @Test(.enabled(if: TestData.isNamed || TestData.isPresent, Comment(rawValue: TestData.absence)))
    func `the folder that RAFT_TESTDATA names holds cases`() {
        #expect(TestData.isPresent)
        #expect(!TestData.folders.flatMap(TestData.files).isEmpty)
    }

    @Test(arguments: [
        "fly 1", "campaign", "campaign 9", "add-nodes 1 wings=2", "deliver-msgs 1 type=MsgPigeon", "log-level loud",
        "propose-conf-change 1 transition=sideways", "transfer-leadership from=9 to=1", "add-nodes 1 index=many",
    ])
    func `what the runner does not know is an error, not passed over`(line: String) throws {
        var cluster = ScenarioCluster()
        _ = try cluster.run(TestData.parse("add-nodes 3 voters=(1,2,3)\n----\nok\n")[0])
        let unknown = try TestData.parse("\(line)\n----\nok\n")[0]
        #expect(throws: ScenarioError.self) { try cluster.run(unknown) }
    }

    @Test(
        .enabled(if: TestData.isPresent, Comment(rawValue: TestData.absence)),
        arguments: TestData.files(in: "testdata"))
    func `every command means the same`(file: String) throws {
        var cluster = ScenarioCluster()
        var durable: [UInt64: String] = [:]
        var level = "debug"
        let cases = try TestData.cases(in: file)
        #expect(!cases.isEmpty)
        for each in cases {
            let place = "\(file):\(each.line) \(each.command)"
            let actual = try cluster.run(each)
            if each.command == "log-level" { level = each.arguments.first?.key.lowercased() ?? level }
            let levelNow = each.value("log-level")?.lowercased() ?? level
            guard levelNow != "none", each.command != "log-level" else {
                // What was made durable meanwhile is still known by the next time it is printed.
                for (id, states) in actual.durable { durable[id] = states.last }
                continue
            }
            var expected = Expectation.parse(each)
            // A hard state is printed with every new commit index: only new terms and votes count here.
            for (id, states) in expected.durable {
                var news: [String] = []
                for state in states where state != durable[id] {
                    news.append(state)
                    durable[id] = state
                }
                expected.durable[id] = news.isEmpty ? nil : news
            }
            compare(actual.sent, expected.sent, "sent", place)
            compare(actual.delivered, expected.delivered, "delivered", place)
            compare(actual.applied, expected.applied, "applied", place)
            compare(actual.durable, expected.durable, "durable", place)
            // These are told by log lines of a middling level.
            if ["debug", "info"].contains(levelNow) {
                compare(actual.configurations, expected.configurations, "configurations", place)
                compare(actual.roles, expected.roles, "roles", place)
            }
            #expect(actual.isDropped == expected.isDropped, "\(place): dropped")
            if !expected.output.isEmpty || each.isQuery { #expect(actual.output == expected.output, "\(place)") }
        }
    }

    private func compare<Key: Hashable & Comparable>(
        _ actual: [Key: [String]], _ expected: [Key: [String]], _ what: String, _ place: String
    ) {
        for key in Set(actual.keys).union(expected.keys).sorted() {
            #expect(actual[key] ?? [] == expected[key] ?? [], "\(place): \(what) \(key)")
        }
    }
}

extension DataDrivenCase {
    /// Its output is a state, not a story.
    fileprivate var isQuery: Bool { ["raft-log", "raft-state", "status", "compact"].contains(command) }
}

/// What an upstream transcript says, framing aside.
private enum Expectation {
    static func parse(_ each: DataDrivenCase) -> ScenarioCluster.Transcript {
        var transcript = ScenarioCluster.Transcript()
        if each.expected == "ok" { return transcript }
        transcript.isDropped = each.expected.contains("raft proposal dropped")
        switch each.command {
        case _ where each.isQuery:
            transcript.output = each.expected.split(separator: "\n").map(String.init)
            return transcript
        case "send-snapshot":
            transcript.output = each.expected.split(separator: "\n").map {
                $0.trimmingPrefix { $0 == " " }.description
            }
            return transcript
        default: break
        }
        // With one node, the header is left out.
        var node = each.positional.first ?? 0
        enum Section { case none, entries, committed, messages, processing, responses, delivery }
        var section: Section = each.command == "deliver-msgs" ? .delivery : .none
        var lines = each.expected.split(separator: "\n").map { String($0.trimmingPrefix { $0 == " " }) }[...]
        func unfold(_ line: String) -> String {
            // A message of several lines.
            var text = line
            if line.hasSuffix("Entries:[") || line.hasSuffix("Responses:[") {
                while let next = lines.popFirst() {
                    text += " " + unfold(next)
                    if next == "]" { break }
                }
            }
            while let next = lines.first, next.hasPrefix("Snapshot: ") {
                text += " " + lines.removeFirst()
            }
            return text
        }
        while let first = lines.popFirst() {
            if first.hasPrefix("> ") {
                let words = first.split(separator: " ")
                node = UInt64(words[1])!
                section = words[2] == "receiving" ? .delivery : .none
                continue
            }
            switch first {
            case "Entries:": section = .entries
            case "CommittedEntries:": section = .committed
            case "Messages:": section = .messages
            case "Processing:":
                section = .processing
            case "Responses:": section = .responses
            default:
                let words = first.split(separator: " ").map(String.init)
                if words[0] == "INFO" || words[0] == "DEBUG" || words[0] == "WARN" {
                    parseLog(words, &transcript)
                    continue
                }
                if words[0] == "HardState" {
                    func field(_ name: String) -> String {
                        words.first { $0.hasPrefix(name + ":") }.map { String($0.dropFirst(name.count + 1)) } ?? "0"
                    }
                    transcript.durable[node, default: []].append(field("Term") + "/" + field("Vote"))
                    continue
                }
                let message = unfold(first)
                guard let arrow = words.first(where: { $0.contains("->") }) else {
                    if section == .committed { transcript.applied[node, default: []].append(first) }
                    continue
                }
                let ends = arrow.split(separator: "-").map { $0.filter(\.isNumber) }
                let isLocal = arrow.contains("Thread") || ends.first == ends.last
                if isLocal { continue }
                switch section {
                case .messages, .responses: transcript.sent[arrow, default: []].append(message)
                case .delivery: transcript.delivered[arrow, default: []].append(message)
                default: break
                }
            }
        }
        return transcript
    }

    private static func parseLog(_ words: [String], _ transcript: inout ScenarioCluster.Transcript) {
        guard words.count > 3, let id = UInt64(words[1]) else { return }
        let text = words.dropFirst(2).joined(separator: " ")
        if text.hasPrefix("switched to configuration ") {
            transcript.configurations[id, default: []].append(
                String(text.dropFirst("switched to configuration ".count)))
        } else if text.hasPrefix("became ") {
            transcript.roles[id, default: []].append(text)
        }
    }
}
