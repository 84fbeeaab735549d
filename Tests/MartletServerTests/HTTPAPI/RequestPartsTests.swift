import MVCC
import NIOCore
import Testing

@testable import MartletServer

/// What requests of the HTTP API say, part by part.
@Suite struct RequestPartsTests {
    private func items(_ query: String, _ known: [String] = ["a", "b", "ttl"]) throws(APIError) -> QueryItems {
        try QueryItems(query.utf8, known: known)
    }

    // MARK: Percent signs

    @Test func `every byte can be written, and comes back`() throws {
        let all = (0...255).map { UInt8($0) }
        let encoded = PercentCoding.encode(all)
        #expect(encoded.utf8.allSatisfy { $0 < 0x80 })
        #expect(PercentCoding.decode(encoded.utf8) == all)
        #expect(PercentCoding.encode("a/b-._~+ é".utf8) == "a/b-._~%2B%20%C3%A9")
        #expect(PercentCoding.decode("a+b%2fc%2F".utf8) == Array("a+b/c/".utf8))
        #expect(PercentCoding.decode("a+b%2B".utf8, plusIsBlank: true) == Array("a b+".utf8))
    }

    @Test(arguments: ["%", "a%", "%1", "%g1", "%1g", "%%41", "% 1", "%+1"])
    func `what is no percent sign's is refused`(text: String) {
        #expect(PercentCoding.decode(text.utf8) == nil)
        #expect(throws: APIError.self) { try PercentCoding.pathBytes("/key/" + text, behind: "/key/") }
        #expect(throws: APIError.self) { try items("a=" + text) }
        #expect(throws: APIError.self) { try items(text) }
    }

    // MARK: Queries

    @Test func `items are read by their names`() throws {
        let found = try items("a=x%20y+z&b")
        #expect(try found.text("a") == "x y z")
        #expect(try found.flag("b"))
        #expect(try found.text("ttl") == nil)
        #expect(try items("").flag("a") == false)
        for (text, value) in [("", true), ("=true", true), ("=1", true), ("=false", false), ("=0", false)] {
            #expect(try items("a" + text).flag("a") == value)
        }
        #expect(throws: APIError.self) { try items("a=yes").flag("a") }
        #expect(throws: APIError.self) { try items("c=1") }
        #expect(throws: APIError.self) { try items("a=1&a=2") }
        #expect(throws: APIError.self) { try items("a=%ff").text("a") }
        #expect(throws: APIError.self) { try items(String(repeating: "b&", count: 100)) }
        let form = try QueryItems("c=1&c=2&a=3".utf8, wanted: ["a"])
        #expect(form.bytes("a") == Array("3".utf8))
        #expect(form.bytes("c") == nil)
    }

    @Test func `numbers are digits, within their bounds`() throws {
        #expect(try items("a=0").number("a", from: 0, to: 9) == 0)
        #expect(try items("a=9223372036854775807").number("a", from: 0, to: .max) == .max)
        for text in ["", "-1", "+1", " 1", "1 ", "0x1", "1e3", "1.0", "9223372036854775808", "99999999999999999999"] {
            #expect(throws: APIError.self, "\(text)") {
                try items("a=" + PercentCoding.encode(text.utf8)).number("a", from: 0, to: .max)
            }
        }
        #expect(throws: APIError.self) { try items("a=10").number("a", from: 0, to: 9) }
    }

    @Test(arguments: [
        ("10", 10), ("30s", 30), ("1m30s", 90), ("1h", 3600), ("1500ms", 2), ("1ns", 1), ("0.5s", 1),
        ("9000000000", 9_000_000_000),
    ])
    func `a lease's time is whole seconds`(text: String, seconds: Int64) throws {
        #expect(try items("ttl=" + text).ttl() == seconds)
    }

    @Test(arguments: ["", "0", "0s", "-1", "-5s", "x", "1d", "9000000001", "1e3", "inf", "nan", "1s2", ".", "s"])
    func `what is none is refused`(text: String) {
        #expect(throws: APIError.self) { try items("ttl=" + text).ttl() }
    }

    @Test func `ids of leases are decimal, or hexadecimal with a mark`() throws {
        #expect(try QueryItems.leaseID("17", "id") == LeaseID(17))
        #expect(try QueryItems.leaseID("0x32695410dcc0ca06", "id") == LeaseID(0x3269_5410_dcc0_ca06))
        for text in ["", "0", "-1", "+1", "0x", "0x-1", "x", "32695410dcc0ca06", "0xffffffffffffffff"] {
            #expect(throws: APIError.self, "\(text)") { try QueryItems.leaseID(text, "id") }
        }
    }

    // MARK: Fields

    @Test func `JSON is for those who name it`() {
        func accepts(_ values: String...) -> Bool {
            PlainRequest(method: "GET", target: "/", fields: values.map { ("Accept", $0) }).accepts("application/json")
        }
        #expect(!accepts())
        #expect(!accepts("*/*"))
        #expect(!accepts("application/*"))
        #expect(accepts("application/json"))
        #expect(accepts("text/html, Application/JSON ; q=0.5"))
        #expect(accepts("text/html", "application/json"))
        #expect(!accepts("application/json;q=0"))
        #expect(!accepts("application/jsonlines"))
    }

    // MARK: Levels

    @Test func `a level that is none is refused`() throws {
        func level(_ query: String) throws(APIError) -> ReadLevel { try ReadLevel(items(query, ["level"])) }
        #expect(try level("") == .default)
        #expect(try level("level=stale") == .stale)
        #expect(try level("level=consistent") == .consistent)
        for wrong in ["level", "level=", "level=Stale", "level=x"] {
            #expect(throws: APIError.self) { try level(wrong) }
        }
    }
}
