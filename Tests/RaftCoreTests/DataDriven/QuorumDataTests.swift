import Testing

@testable import RaftCore

@Suite struct `Quorum arithmetic, by upstream's cases` {
    @Test(
        .enabled(if: TestData.isPresent, Comment(rawValue: TestData.absence)),
        arguments: TestData.files(in: "quorum/testdata"))
    func `every case comes out to the letter`(file: String) throws {
        let cases = try TestData.cases(in: file)
        #expect(!cases.isEmpty)
        for each in cases {
            #expect(try Self.run(each) == each.expected, "\(file):\(each.line)")
        }
    }

    private static func run(_ each: DataDrivenCase) throws -> String {
        try each.require(arguments: ["cfg", "cfgj", "idx", "votes"])
        func id(_ text: String) throws -> NodeID {
            guard let number = UInt64(text) else { throw ScenarioError("no member: \(text)") }
            return NodeID(number)
        }
        let incoming = try (each.argument("cfg")?.values ?? []).map(id).sorted()
        let joint = each.argument("cfgj")?.values
        let outgoing = try (joint ?? []).filter { $0 != "zero" }.map(id).sorted()
        // Values belong to the ids in the order of mention, without repetition.
        var order: [NodeID] = []
        for text in (each.argument("cfg")?.values ?? []) + (joint ?? []).filter({ $0 != "zero" }) {
            let id = try id(text)
            if !order.contains(id) { order.append(id) }
        }
        let quorum = JointQuorum(incoming: incoming, outgoing: outgoing)
        let mirrored = JointQuorum(incoming: outgoing, outgoing: incoming)
        switch each.command {
        case "committed":
            let given = each.argument("idx")?.values ?? []
            guard given.count >= order.count else {
                throw ScenarioError("\(given.count) values, \(order.count) voters")
            }
            func value(_ id: NodeID) -> UInt64? { order.firstIndex(of: id).flatMap { UInt64(given[$0]) } }
            let index = quorum.reached(value)
            #expect(mirrored.reached(value) == index)
            if joint == nil { #expect(JointQuorum(incoming: incoming, outgoing: incoming).reached(value) == index) }
            return chart(order.sorted(), value) + (index == .max ? "∞" : "\(index)")
        case "vote":
            let given = each.argument("votes")?.values ?? []
            guard given.count >= order.count else { throw ScenarioError("\(given.count) votes, \(order.count) voters") }
            func vote(_ id: NodeID) -> Bool? {
                order.firstIndex(of: id).flatMap { given[$0] == "_" ? nil : given[$0] == "y" }
            }
            let outcome = quorum.outcome(vote)
            #expect(mirrored.outcome(vote) == outcome)
            return outcome.rendered
        default: throw ScenarioError("unknown command \(each.command)")
        }
    }

    /// A bar for each voter, as long as the number of voters that stand lower.
    private static func chart(_ ids: [NodeID], _ value: (NodeID) -> UInt64?) -> String {
        guard !ids.isEmpty else { return "<empty majority quorum>" }
        func pad(_ text: String, to width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        var text = String(repeating: " ", count: ids.count) + "    idx\n"
        for id in ids {
            let own = value(id) ?? 0
            let lower = ids.count { (value($0) ?? 0) < own }
            if value(id) == nil {
                text += "?" + String(repeating: " ", count: ids.count)
            } else {
                text += String(repeating: "x", count: lower) + ">" + String(repeating: " ", count: ids.count - lower)
            }
            text += " " + pad("\(own)", to: 5) + "    (id=\(String(id.rawValue, radix: 16)))\n"
        }
        return text
    }
}
