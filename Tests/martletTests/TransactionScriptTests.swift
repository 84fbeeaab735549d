import EtcdAPI
import MartletClient
import Testing

@testable import martlet

struct TransactionScriptTests {
    private func read(_ text: String) throws -> (request: WireTxnRequest<[UInt8]>, prompts: [String]) {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)[...]
        // What follows the last end of a line is no line.
        lines.removeLast()
        var prompts: [String] = []
        let request = try TransactionScript.read(prompt: { prompts.append($0) }, nextLine: { lines.popFirst() })
        return (request, prompts)
    }

    private func failure(_ body: () throws -> Void) -> CommandFailure? {
        do {
            try body()
            return nil
        } catch {
            return error as? CommandFailure
        }
    }

    @Test func `three blocks, each ended by a blank line`() throws {
        let (request, prompts) = try read(
            """
            mod("a") > "0"
            value("b") = "x y"

            put a "1 2" --lease=1f
            get a --prefix

             del a --prev-kv\u{20}

            """ + "\n")
        #expect(
            request.compare == [
                WireCompare(result: .greater, target: .mod, key: [0x61], operand: .modRevision(0)),
                WireCompare(result: .equal, target: .value, key: [0x62], operand: .value(Array("x y".utf8))),
            ])
        #expect(
            request.success == [
                .put(WirePutRequest(key: [0x61], value: Array("1 2".utf8), lease: 0x1f)),
                .range(WireRangeRequest(key: [0x61], rangeEnd: [0x62])),
            ])
        #expect(request.failure == [.deleteRange(WireDeleteRangeRequest(key: [0x61], prevKV: true))])
        #expect(
            prompts == [
                "compares:", "success requests (get, put, del):", "failure requests (get, put, del):",
            ])
    }

    @Test(arguments: ["", "\n", "\n\n", "mod(\"a\") > \"0\"\n\n\n"])
    func `an input that ends too soon is refused`(text: String) {
        #expect(failure { _ = try read(text) }?.exitCode == 3)
    }

    @Test(
        arguments: [
            (#"ver("k") = "1""#, .version, .equal, .version(1)),
            (#"c("k") != "2""#, .create, .notEqual, .createRevision(2)),
            (#"m("k") < "3""#, .mod, .less, .modRevision(3)), (#"val("k") > "\xff""#, .value, .greater, .value([0xff])),
            (#"lease("k") = "1f""#, .lease, .equal, .lease(0x1f)),
            (#"mod( "k")  >  "0" trailing"#, .mod, .greater, .modRevision(0)),
            ("value(`k`) = `v`", .value, .equal, .value([0x76])),
        ] as [(String, WireCompareTarget, WireCompareResult, WireCompareOperand<[UInt8]>)])
    func `conditions by etcdctl's rules`(
        line: String, target: WireCompareTarget, result: WireCompareResult, operand: WireCompareOperand<[UInt8]>
    ) throws {
        #expect(
            try TransactionScript.compare(line)
                == WireCompare(result: result, target: target, key: [0x6b], operand: operand))
    }

    @Test(arguments: [
        "mod", "mod(k) > \"0\"", "mod(\"k\" ) > \"0\"", "mod(\"k\")> \"0\"", "mod(\"k\") >\"0\"", "mod(\"k\") > 0",
        "mod (\"k\") > \"0\"", "foo(\"k\") > \"0\"", "mod(\"k\") > \"x\"", "mod(\"k\") ~ \"0\"",
        "lease(\"k\") = \"xyz\"",
        "mod(\"k\") > \"\\z\"",
    ])
    func `what is no condition is refused`(line: String) {
        #expect(failure { _ = try TransactionScript.compare(line) }?.exitCode == 3)
    }

    @Test(arguments: [
        ("put", 3), ("foo a", 3), ("put a", 128), ("put a b --lease=zz", 128), ("put a b --bogus", 3),
        ("get a -w json", 3),
        ("get a b c", 128), ("get a --order=UP", 4), ("put a \"\\z\"", 3), ("txn a", 3),
    ])
    func `what is no operation is refused, with etcdctl's codes`(line: String, code: Int32) {
        #expect(failure { _ = try TransactionScript.operation(line) }?.exitCode == code)
    }

    @Test(
        arguments: [
            ("a  b\tc", ["a", "b", "c"]), (#""a b" 'c d'"#, ["a b", "c d"]), (#""a\"b\x41" x"#, ["a\"bA", "x"]),
            (#"a"b c'd"#, ["a\"b", "c'd"]), ("'' \"\"", ["", ""]), ("\"unterminated x", ["unterminated", "x"]),
            ("  ", []), ("--prefix=true", ["--prefix=true"]),
        ] as [(String, [String])])
    func `words are split as etcdctl splits them`(line: String, words: [String]) throws {
        #expect(try CommandLineWords.split(line) == words)
    }
}

struct ArgumentBytesTests {
    @Test(
        arguments: [
            Array("plain".utf8), Array("ümläut 日 👍🏽".utf8), [0xff], [0x61, 0xc3, 0x62], [0xf0, 0x9f, 0x91], [],
            Array("\u{10ff80}\u{10ffff}\u{10fe00}".utf8), [0xc3, 0x28, 0xe2, 0x82, 0xac, 0x80],
        ] as [[UInt8]])
    func `no byte is lost on the way through a text`(bytes: [UInt8]) {
        #expect(ArgumentBytes.bytes(ArgumentBytes.text(bytes)) == bytes)
    }

    @Test func `every byte and every pair of bytes comes back`() {
        for first in UInt8.min...UInt8.max {
            #expect(ArgumentBytes.bytes(ArgumentBytes.text([first])) == [first])
            for second in stride(from: UInt8(0), through: 250, by: 5) {
                let bytes = [first, second]
                guard ArgumentBytes.bytes(ArgumentBytes.text(bytes)) == bytes else {
                    Issue.record("\(bytes)")
                    continue
                }
            }
        }
    }

    @Test func `a text that is one stays as it is`() {
        #expect(ArgumentBytes.text(Array("ümläut".utf8)) == "ümläut")
    }
}
