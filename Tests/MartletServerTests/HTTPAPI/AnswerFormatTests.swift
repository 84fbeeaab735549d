import EtcdAPI
import Foundation
import MVCC
import NIOCore
import Testing

@testable import MartletServer

/// What the HTTP API writes: JSON, events, errors.
@Suite struct AnswerFormatTests {
    private func json(_ write: (inout JSONBuffer) -> Void) throws -> [String: Any] {
        var buffer = JSONBuffer()
        buffer.raw("{")
        write(&buffer)
        buffer.raw("}")
        let object = try JSONSerialization.jsonObject(with: Data(buffer.buffer.readableBytesView))
        return try #require(object as? [String: Any])
    }

    @Test func `bytes are text where they can be, and otherwise Base64`() throws {
        let text = "a\"\\/\n\r\t\u{0}\u{1f}\u{7f}é😀"
        let asText = try json { $0.bytes("v", Array(text.utf8)) }
        #expect(asText["v"] as? String == text)
        #expect(asText["v_encoding"] as? String == "text")
        for bytes in [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0x61, 0x80]] as [[UInt8]] {
            let asBase64 = try json { $0.bytes("v", bytes) }
            #expect(asBase64["v_encoding"] as? String == "base64")
            #expect((asBase64["v"] as? String).flatMap { Data(base64Encoded: $0) } == Data(bytes))
        }
        #expect(try json { $0.bytes("v", []) }["v"] as? String == "")
    }

    @Test func `an error is an object of two members, whatever it says`() throws {
        let response = APIError.badRequest("a \"quote\"\nand \u{1}").response
        let object = try JSONSerialization.jsonObject(with: Data(response.body.readableBytesView)) as? [String: String]
        #expect(object == ["error": "bad_request", "message": "a \"quote\"\nand \u{1}"])
        #expect(RiotAnswer.notFound.response().body == ByteBuffer(string: #"{"errCode":40004,"msg":"not found"}"#))
    }

    @Test(arguments: RequestError.allCases)
    func `no mistake of a client is a fault of the server`(error: RequestError) {
        let status = APIError(error).status
        #expect((400..<500).contains(status) || error == .noSpace || error == .corruptCluster)
    }

    // MARK: Events

    private func put(_ key: String, _ revision: Int64, _ value: String = "v") -> WireEvent<[UInt8]> {
        WireEvent(
            isDelete: false,
            kv: WireKeyValue(
                key: Array(key.utf8), createRevision: revision, modRevision: revision, version: 1,
                value: Array(value.utf8), lease: 0))
    }

    private func delete(_ key: String, _ revision: Int64) -> WireEvent<[UInt8]> {
        WireEvent(
            isDelete: true,
            kv: WireKeyValue(
                key: Array(key.utf8), createRevision: 0, modRevision: revision, version: 0, value: [], lease: 0))
    }

    @Test func `only the last event of a revision says how far the client has got`() {
        let text = String(
            buffer: ServerSentEvents.text(
                of: [put("a", 7), put("b", 7), delete("c", 8)], withValue: false))
        #expect(
            text == """
                event: put
                data: {"type":"put","key":"a","key_encoding":"text","create_revision":7,"mod_revision":7,"version":1}

                event: put
                id: 7
                data: {"type":"put","key":"b","key_encoding":"text","create_revision":7,"mod_revision":7,"version":1}

                event: delete
                id: 8
                data: {"type":"delete","key":"c","key_encoding":"text","mod_revision":8}


                """)
    }

    @Test func `a value's line breaks do not break the format`() {
        let text = String(buffer: ServerSentEvents.text(of: [put("a", 7, "x\n\ndata: y\r\n")], withValue: true))
        #expect(text.split(separator: "\n").count == 3)
        #expect(!text.contains("\r"))
    }

    @Test func `what is no event is none for a client either`() {
        #expect(String(buffer: ServerSentEvents.place(9)) == "id: 9\n\n")
        #expect(String(buffer: ServerSentEvents.begin(reconnectTime: .seconds(2))) == "retry: 2000\n\n")
        #expect(String(buffer: ServerSentEvents.heartbeat) == ":\n\n")
    }

    // MARK: JSON that clients send

    @Test(arguments: [
        "{}", "[]", "null", "true", "false", "0", "-0", "1.5e-7", "\"\"", "\"\\u00e9\\n\"",
        " {\"a\" : [1, {\"b\":null}]} ", "[[[]]]", "1E+2", "\"é\"",
    ])
    func `JSON is JSON`(text: String) { #expect(JSONCheck.isValue(Array(text.utf8))) }

    @Test(arguments: [
        "", " ", "{", "}", "[1,]", "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":1,}", "01", "1.", ".5", "+1", "1e", "nul",
        "NaN", "\"", "\"\n\"", "\"\\x\"", "\"\\u12\"", "1 2", "{} {}", "'a'", "[1 2]", "\u{feff}{}", "-",
    ])
    func `and nothing else is`(text: String) { #expect(!JSONCheck.isValue(Array(text.utf8))) }

    @Test func `nor what goes too deep, or is not UTF-8`() {
        func nested(_ depth: Int) -> [UInt8] {
            Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }
        #expect(JSONCheck.isValue(nested(64)))
        #expect(!JSONCheck.isValue(nested(100_000)))
        #expect(!JSONCheck.isValue([0x22, 0xff, 0x22]))
    }

    // MARK: The description

    @Test func `the description is JSON, and refers to nothing that is not there`() throws {
        let data = Data(OpenAPI.response.body.readableBytesView)
        let document = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        var references = 0
        func walk(_ value: Any) {
            if let object = value as? [String: Any] {
                if let reference = object["$ref"] as? String {
                    references += 1
                    var place: Any? = document
                    for name in reference.split(separator: "/").dropFirst() {
                        place = (place as? [String: Any])?[String(name)]
                    }
                    #expect(place != nil, "\(reference)")
                }
                for (_, value) in object { walk(value) }
            } else if let list = value as? [Any] {
                for value in list { walk(value) }
            }
        }
        walk(document)
        #expect(references > 100)
    }
}
