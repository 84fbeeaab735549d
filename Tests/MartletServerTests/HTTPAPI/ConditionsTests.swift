import MVCC
import Testing

@testable import MartletServer

@Suite struct ConditionsTests {
    private func conditions(match: String? = nil, noneMatch: String? = nil) throws(APIError) -> Conditions {
        var fields: [(name: String, value: String)] = []
        if let match { fields.append(("If-Match", match)) }
        if let noneMatch { fields.append(("If-None-Match", noneMatch)) }
        return try Conditions(PlainRequest(method: "PUT", target: "/key/a", fields: fields))
    }

    @Test func `tags are revisions in quotes, and others equal none`() throws {
        #expect(try conditions().isEmpty)
        #expect(try conditions(match: "*").match == .any)
        #expect(try conditions(match: "\"42\"").match == .revisions([42]))
        #expect(try conditions(match: "42").match == .revisions([42]))
        #expect(try conditions(match: " \"1\" ,, \"2\",\t3 ").match == .revisions([1, 2, 3]))
        #expect(try conditions(match: "\"a,b\", \"0\", \"01\", \"\", \"9223372036854775808\"").match == .revisions([]))
        // A weak tag counts where it is enough that the content is the same.
        #expect(try conditions(match: "W/\"7\"").match == .revisions([]))
        #expect(try conditions(noneMatch: "W/\"7\"").noneMatch == .revisions([7]))
    }

    @Test(arguments: ["", " ", ",", "a", "\"1", "1\"", "1 2", "\"1\"\"2\"", "*,\"1\"", "**", "W/1", "-1", "w/\"1\""])
    func `what is no list of tags is refused`(text: String) {
        #expect(throws: APIError.self) { try conditions(match: text) }
        #expect(throws: APIError.self) { try conditions(noneMatch: text) }
    }

    @Test func `there is a limit to their number`() throws {
        let tags = (1...17).map { "\"\($0)\"" }
        #expect(try conditions(match: tags.dropLast().joined(separator: ",")).match != nil)
        #expect(throws: APIError.self) { try conditions(match: tags.joined(separator: ",")) }
    }

    /// Judged on a pair, and by the comparisons of a transaction on the same pair: both must agree.
    @Test func `a transaction decides as a read would`() throws {
        let key = Array("k".utf8)
        let tags: [String?] = [nil, "*", "\"5\"", "\"6\"", "\"5\", \"6\"", "\"x\""]
        for match in tags {
            for noneMatch in tags {
                let conditions = try conditions(match: match, noneMatch: noneMatch)
                for revision in [nil, 5, 6, 7] as [Int64?] {
                    let met = conditions.verdict(of: revision.map { Revision($0) }) == .met
                    guard !conditions.needsLook else {
                        // Seen first: only what meets them goes on, and only if it is still that one.
                        if met, let revision {
                            let narrowed = conditions.narrowed(to: Revision(revision))
                            #expect(!narrowed.needsLook)
                            #expect(holds(narrowed.comparisons(of: key), revision))
                            #expect(!holds(narrowed.comparisons(of: key), revision + 100))
                        }
                        continue
                    }
                    #expect(
                        holds(conditions.comparisons(of: key), revision) == met,
                        "If-Match \(match ?? "-"), If-None-Match \(noneMatch ?? "-"), at \(revision ?? 0)")
                }
            }
        }
    }

    private func holds(_ comparisons: [Comparison], _ revision: Int64?) -> Bool {
        comparisons.allSatisfy { comparison in
            let (actual, wanted): (Int64, Int64)
            switch comparison.operand {
            case .modRevision(let number): (actual, wanted) = (revision ?? 0, number)
            case .createRevision(let number): (actual, wanted) = (revision == nil ? 0 : 3, number)
            default: return false
            }
            return comparison.relation == .equal ? actual == wanted : actual != wanted
        }
    }
}
