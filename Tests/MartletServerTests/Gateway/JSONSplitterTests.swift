import NIOCore
import Testing

@testable import MartletServer

@Suite struct JSONSplitterTests {
    /// All objects of a text that comes in pieces of a size.
    func split(_ text: String, pieces: Int, bytesMax: Int = 1000) throws -> [String] {
        var splitter = JSONSplitter(bytesMax: bytesMax, depthMax: 5)
        var found: [String] = []
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            splitter.append(ByteBuffer(bytes: rest.prefix(pieces)))
            rest = rest.dropFirst(pieces)
            while let object = try splitter.next() { found.append(String(buffer: object)) }
        }
        try splitter.finish()
        return found
    }

    @Test(arguments: [1, 2, 3, 7, 1000])
    func `objects are found however the bytes are cut`(pieces: Int) throws {
        let objects = [
            #"{}"#, #"{"a":{"b":[1,2,{"c":"}"}]}}"#, #"{"a":"\"}{"}"#, #"{"a":"\\"}"#, #"{"ä":"[[[[[[[[["}"#,
        ]
        for separator in ["", "\n", " \r\n\t"] {
            #expect(try split(objects.joined(separator: separator) + separator, pieces: pieces) == objects)
        }
        #expect(try split(" \n ", pieces: pieces) == [])
    }

    @Test(arguments: [
        ("[]", JSONSplitter.Failure.notAnObject), ("null", .notAnObject), ("5", .notAnObject), ("{} x", .notAnObject),
        ("{", .truncated), (#"{"a":"}"#, .truncated), ("{}{", .truncated),
        (#"{"a":[[[[[1]]]]]}"#, .tooDeep(depthMax: 5)),
        (#"{"a":""# + String(repeating: "x", count: 1000) + #""}"#, .tooLarge(bytesMax: 1000)),
        (#"{"a":""# + String(repeating: "x", count: 2000), .tooLarge(bytesMax: 1000)),
    ])
    func `what is no object is refused`(text: String, failure: JSONSplitter.Failure) {
        for pieces in [1, 10, 10_000] {
            #expect(throws: failure) { try split(text, pieces: pieces) }
        }
    }
}
