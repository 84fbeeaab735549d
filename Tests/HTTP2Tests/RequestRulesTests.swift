import NIOCore
import Testing

@testable import HTTP2

/// RFC 9113 sections 8.1.1, 8.2 and 8.3, field by field and field after field.
@Suite struct RequestRulesTests {
    static func field(_ name: String, _ value: String) -> RequestRules.Field {
        Array(name.utf8).withUnsafeBufferPointer { name in
            Array(value.utf8).withUnsafeBufferPointer { RequestRules.Field(name: name, value: $0) }
        }
    }

    static func isBroken(_ fields: [(String, String)]) -> Bool {
        var rules = RequestRules()
        for (name, value) in fields { rules.receive(field(name, value)) }
        rules.endHeaders()
        return rules.isBroken
    }

    static let required = [(":method", "POST"), (":scheme", "http"), (":path", "/a/b")]

    @Test(arguments: [
        "127.0.0.1:2379", "[::1]:2379", "http://127.0.0.1:2379", "#initially=[http://127.0.0.1:2379;b]",
        "unix:/var/run/etcd", "user@host", "a b", "", "é",
    ])
    func `an authority may have any form`(_ text: String) {
        #expect(Self.field(":authority", text) == .authority)
        #expect(Self.field("host", text) == .host)
    }

    @Test func `no value holds control characters but tabs`() {
        for scalar in (0..<0x80).map({ Unicode.Scalar(UInt8($0)) }) {
            let isControl = scalar.value < 0x20 && scalar != "\t" || scalar.value == 0x7f
            for name in ["x", ":authority", "host"] {
                #expect((Self.field(name, "a\(scalar)") == .malformed) == isControl, "\(name) \(scalar.value)")
            }
        }
    }

    @Test func `a name is a token without upper case letters`() {
        let token = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz".utf8)
        for byte in UInt8.min...UInt8.max {
            let name: [UInt8] = [UInt8(ascii: "x"), byte]
            let field = name.withUnsafeBufferPointer {
                RequestRules.Field(name: $0, value: UnsafeBufferPointer(start: nil, count: 0))
            }
            #expect((field == .regular) == token.contains(byte), "\(byte)")
        }
        #expect(Self.field("", "1") == .malformed)
        #expect(Self.field(":", "1") == .malformed)
        #expect(Self.field("X", "1") == .malformed)
        #expect(Self.field("grpc-trace-bin", "") == .regular)
    }

    @Test func `fields of the connection are malformed, and te but for trailers`() {
        for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
            #expect(Self.field(name, "x") == .malformed, "\(name)")
        }
        #expect(Self.field("te", "trailers") == .regular)
        #expect(Self.field("te", "Trailers") == .regular)
        for value in ["", "gzip", "trailers, gzip", "trailer"] { #expect(Self.field("te", value) == .malformed) }
    }

    @Test func `pseudo-fields are those of requests, with values`() {
        #expect(Self.field(":method", "POST") == .method(.other))
        #expect(Self.field(":method", "CONNECT") == .method(.connect))
        #expect(Self.field(":scheme", "https") == .scheme)
        #expect(Self.field(":path", "/") == .path(isAsterisk: false))
        #expect(Self.field(":path", "*") == .path(isAsterisk: true))
        for (name, value) in [
            (":method", ""), (":method", "GE T"), (":scheme", ""), (":path", ""), (":path", "a"), (":path", "**"),
            (":status", "200"), (":protocol", "websocket"), (":nonsense", "1"), (":Path", "/"),
        ] {
            #expect(Self.field(name, value) == .malformed, "\(name) \(value)")
        }
    }

    @Test func `a content length is digits that fit`() {
        #expect(Self.field("content-length", "0") == .contentLength(0))
        #expect(Self.field("content-length", "999999999999999999") == .contentLength(999_999_999_999_999_999))
        for value in ["", "-1", "+1", "1 ", "0x1", "1,1", "9999999999999999999"] {
            #expect(Self.field("content-length", value) == .malformed, "\(value)")
        }
    }

    @Test func `method, scheme and path are there once, in any order, ahead of the rest`() {
        let required = Self.required
        for first in required.indices {
            let turned = Array(required[first...] + required[..<first])
            #expect(!Self.isBroken(turned))
            #expect(!Self.isBroken(turned + [(":authority", "a"), ("x", "y"), ("host", "a")]))
            #expect(Self.isBroken(Array(turned.dropFirst())), "without \(turned[0].0)")
            #expect(Self.isBroken(turned + [turned[0]]), "\(turned[0].0) twice")
            #expect(Self.isBroken(turned.dropFirst() + [("x", "y"), turned[0]]), "\(turned[0].0) behind a field")
        }
        #expect(Self.isBroken(required + [("x", "y"), (":authority", "a")]))
        #expect(Self.isBroken(required + [("host", "a"), (":authority", "a")]))
        #expect(Self.isBroken(required + [(":authority", "a"), (":authority", "a")]))
        #expect(Self.isBroken(required + [("host", "a"), ("host", "a")]))
        #expect(!Self.isBroken(required + [("x", "y"), ("x", "y")]))
        #expect(Self.isBroken([]))
    }

    @Test func `CONNECT has an authority alone, and only OPTIONS an asterisk`() {
        let connect = [(":method", "CONNECT"), (":authority", "a:1")]
        #expect(!Self.isBroken(connect))
        #expect(Self.isBroken([connect[0]]))
        #expect(Self.isBroken(connect + [(":path", "/")]))
        #expect(Self.isBroken(connect + [(":scheme", "http")]))
        #expect(!Self.isBroken([(":method", "OPTIONS"), (":scheme", "http"), (":path", "*")]))
        #expect(Self.isBroken([(":path", "*"), (":method", "GET"), (":scheme", "http")]))
    }

    @Test func `as many bytes as the content length says, or any number without one`() {
        func isBroken(_ length: String?, _ chunks: [Int], atEnd: Bool = true) -> Bool {
            var rules = RequestRules()
            for (name, value) in Self.required { rules.receive(Self.field(name, value)) }
            if let length { rules.receive(Self.field("content-length", length)) }
            rules.endHeaders()
            for chunk in chunks { rules.receive(bytes: chunk) }
            if atEnd { rules.end() }
            return rules.isBroken
        }
        #expect(!isBroken(nil, [1, 2, 3]))
        #expect(!isBroken("6", [1, 2, 3]))
        #expect(!isBroken("0", []))
        #expect(!isBroken("7", [1, 2, 3], atEnd: false))
        #expect(isBroken("7", [1, 2, 3]))
        #expect(isBroken("5", [1, 2, 3], atEnd: false))
        #expect(isBroken("1", []))
    }

    @Test func `trailers end the request and hold no pseudo-fields`() {
        func isBroken(_ fields: [(String, String)], isLast: Bool = true) -> Bool {
            var rules = RequestRules()
            for (name, value) in Self.required { rules.receive(Self.field(name, value)) }
            rules.endHeaders()
            for (name, value) in fields { rules.receiveTrailer(Self.field(name, value)) }
            rules.endTrailers(isLast: isLast)
            return rules.isBroken
        }
        #expect(!isBroken([("x", "y")]))
        #expect(isBroken([("x", "y")], isLast: false))
        #expect(isBroken([("connection", "close")]))
        for (name, value) in Self.required + [(":authority", "a"), (":status", "200")] {
            #expect(isBroken([(name, value)]), "\(name)")
        }
    }

    @Test(arguments: ["http://127.0.0.1:2379", "#initially=[127.0.0.1:2379]", nil])
    func `a call with any authority, or none, is answered`(_ authority: String?) async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            let fields = RawPeer.request().filter { $0.0 != ":authority" }
            let pseudo = fields.prefix(3) + (authority.map { [(":authority", $0)] } ?? [])
            peer.sendRequest(1, Array(pseudo + fields.dropFirst(3)))
            #expect(peer.answer(on: 1)?.grpcStatus == "0")
        }
    }

    @Test func `a malformed request does no harm to the next one on its stream object`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            for stream in stride(from: UInt32(1), to: 100, by: 4) {
                peer.sendRequest(stream, RawPeer.request(extra: [("content-length", "9")]))
                peer.sendRequest(stream + 2, RawPeer.request(extra: [("content-length", "8")]))
                #expect(peer.answer(on: stream)?.reset == 1)
                #expect(peer.answer(on: stream + 2)?.grpcStatus == "0")
            }
        }
    }

    @Test func `a call that turns out malformed is cancelled for its service`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            peer.send(ProtocolErrorTests.open + RawPeer.bytes(RawPeer.data, 0, 1, RawPeer.message([1])))
            #expect(peer.frames { $0.type == RawPeer.data && $0.stream == 1 } != nil)
            peer.send(RawPeer.bytes(RawPeer.headers, RawPeer.endHeaders, 1, RawPeer.block([("x", "y")])))
            #expect(peer.frames { $0.type == RawPeer.rst && $0.stream == 1 }?.last?.errorCode == 1)
            #expect(await server.journal.wait(for: "cancelled"))
            let counters = await server.counters("/test.Echo/Stream")
            #expect(counters.started == 1 && counters.handled[Int(GRPCCode.cancelled.rawValue)] == 1)
        }
    }
}
