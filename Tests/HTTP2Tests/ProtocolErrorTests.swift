import HTTP2
import Testing

/// Breaches of RFC 9113, one by one: what must end the connection, what must end a stream, what must be ignored. After
/// each, the server must still serve others.
@Suite struct ProtocolErrorTests {
    enum Outcome: CustomTestStringConvertible {
        /// GOAWAY with one of the codes, then the end of the connection.
        case connectionError(Set<UInt32>)
        /// Stream 1 is reset with one of the codes; the connection goes on.
        case streamError(Set<UInt32>)
        /// A request on the same connection is answered.
        case ignored

        var testDescription: String { "\(self)" }
    }

    struct Case: CustomTestStringConvertible, Sendable {
        let name: String
        let outcome: Outcome
        let bytes: [UInt8]
        /// The id of the request that shows that an ignored breach was ignored.
        var next: UInt32 = 101

        var testDescription: String { name }

        init(_ name: String, _ outcome: Outcome, next: UInt32 = 101, _ bytes: [UInt8]...) {
            self.name = name
            self.outcome = outcome
            self.bytes = bytes.flatMap { $0 }
            self.next = next
        }
    }

    static func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
        RawPeer.bytes(type, flags, stream, payload)
    }
    /// A request on stream 1 that is left open.
    static let open = frame(RawPeer.headers, RawPeer.endHeaders, 1, RawPeer.block(RawPeer.request("/test.Echo/Stream")))
    static func headers(_ fields: [(String, String)]) -> [UInt8] {
        frame(RawPeer.headers, RawPeer.endHeaders | RawPeer.endStream, 1, RawPeer.block(fields))
    }
    static func without(_ name: String) -> [(String, String)] { RawPeer.request().filter { $0.0 != name } }
    static func setting(_ id: UInt8, _ value: UInt32) -> [UInt8] {
        frame(RawPeer.settings, 0, 0, [0, id] + RawPeer.number(value))
    }

    static let cases: [Case] = [
        // Section 4.2, 4.3: frame size, field compression.
        Case(
            "a DATA frame longer than SETTINGS_MAX_FRAME_SIZE (4.2)", .connectionError([6]), open,
            frame(RawPeer.data, 0, 1, [UInt8](repeating: 0, count: 16_385))),
        Case(
            "a HEADERS frame longer than SETTINGS_MAX_FRAME_SIZE (4.2)", .connectionError([6]),
            frame(RawPeer.headers, RawPeer.endHeaders, 1, [UInt8](repeating: 0, count: 16_385))),
        Case(
            "a field block that cannot be decoded (4.3)", .connectionError([9]),
            frame(RawPeer.headers, RawPeer.endHeaders, 1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        Case(
            "an index beyond the tables (4.3)", .connectionError([9]),
            frame(RawPeer.headers, RawPeer.endHeaders, 1, [0xfe])),
        Case(
            "a table size update above the setting (4.3.1)", .connectionError([9]),
            frame(RawPeer.headers, RawPeer.endHeaders, 1, [0x3f, 0xff, 0xff, 0x7f])),
        Case(
            "a frame between HEADERS and CONTINUATION (4.3)", .connectionError([1]),
            frame(RawPeer.headers, 0, 1, [0x83]), frame(RawPeer.ping, 0, 0, [UInt8](repeating: 0, count: 8))),
        Case(
            "CONTINUATION of another stream (4.3)", .connectionError([1]),
            frame(RawPeer.headers, 0, 1, [0x83]), frame(RawPeer.continuation, RawPeer.endHeaders, 3, [0x84])),

        // Section 5.1: stream states and ids.
        Case("DATA on an idle stream (5.1)", .connectionError([1, 5]), frame(RawPeer.data, 0, 1, [0])),
        Case(
            "RST_STREAM on an idle stream (5.1)", .connectionError([1]),
            frame(RawPeer.rst, 0, 1, RawPeer.number(8))),
        Case(
            "WINDOW_UPDATE on an idle stream (5.1)", .connectionError([1]),
            frame(RawPeer.windowUpdate, 0, 1, RawPeer.number(1))),
        // nghttp2 makes connection errors of some stream errors, as section 5.4.2 lets it.
        Case(
            "DATA after END_STREAM (5.1)", .connectionError([5]),
            frame(
                RawPeer.headers, RawPeer.endHeaders | RawPeer.endStream, 1,
                RawPeer.block(RawPeer.request("/test.Echo/Stream"))), frame(RawPeer.data, 0, 1, [0])),
        Case(
            "a stream id with an even number (5.1.1)", .connectionError([1]),
            frame(RawPeer.headers, RawPeer.endHeaders, 2, RawPeer.block(RawPeer.request()))),
        // The RFC asks for a connection error, but who keeps no list of closed streams cannot tell this from trailers
        // of a stream that was reset: nghttp2 drops it.
        Case(
            "a stream id lower than one before (5.1.1)", .ignored,
            frame(RawPeer.headers, RawPeer.endHeaders, 5, RawPeer.block(RawPeer.request("/test.Echo/Stream"))),
            frame(RawPeer.headers, RawPeer.endHeaders, 3, RawPeer.block(RawPeer.request("/test.Echo/Stream")))),
        Case(
            "a stream that depends on itself (RFC 7540 5.3.1; given up by RFC 9113)", .ignored,
            frame(
                RawPeer.headers, RawPeer.endHeaders | RawPeer.endStream | 0x20, 1,
                RawPeer.number(3) + [16] + RawPeer.block(RawPeer.request("/test.Echo/Unary")))),

        // Section 5.5: extensions.
        Case("a frame of an unknown type (5.5)", .ignored, frame(0xee, 0xff, 0, [1, 2, 3])),
        Case("a frame of an unknown type on a stream (5.5)", .ignored, open, frame(0xee, 0xff, 1, [1, 2, 3])),
        Case("an unknown flag (4.1)", .ignored, frame(RawPeer.ping, 0xfe, 0, [UInt8](repeating: 0, count: 8))),

        // Section 6.1: DATA.
        Case("DATA on stream 0 (6.1)", .connectionError([1]), frame(RawPeer.data, 0, 0, [0])),
        Case(
            "DATA with padding as long as itself (6.1)", .connectionError([1]), open,
            frame(RawPeer.data, RawPeer.padded, 1, [5, 0, 0, 0, 0])),
        Case(
            "padded DATA without a byte (6.1)", .connectionError([1, 6]), open,
            frame(RawPeer.data, RawPeer.padded, 1, [])),

        // Section 6.2: HEADERS.
        Case(
            "HEADERS on stream 0 (6.2)", .connectionError([1]),
            frame(RawPeer.headers, RawPeer.endHeaders, 0, RawPeer.block(RawPeer.request()))),
        Case(
            "HEADERS with padding longer than itself (6.2)", .connectionError([1]),
            frame(RawPeer.headers, RawPeer.endHeaders | RawPeer.padded, 1, [200, 0x83])),

        // Section 6.3: PRIORITY.
        Case("PRIORITY of a wrong size (6.3)", .connectionError([6]), frame(RawPeer.priority, 0, 1, [0, 0, 0, 0])),
        // We announce SETTINGS_NO_RFC7540_PRIORITIES, and nghttp2 then looks at nothing but the size of PRIORITY.
        Case("PRIORITY on stream 0 (6.3)", .ignored, frame(RawPeer.priority, 0, 0, [0, 0, 0, 0, 1])),
        Case("PRIORITY on an idle stream (6.3)", .ignored, frame(RawPeer.priority, 0, 7, [0, 0, 0, 0, 1])),

        // Section 6.4: RST_STREAM.
        Case("RST_STREAM of a wrong size (6.4)", .connectionError([6]), open, frame(RawPeer.rst, 0, 1, [0, 0, 0])),
        Case("RST_STREAM on stream 0 (6.4)", .connectionError([1]), frame(RawPeer.rst, 0, 0, RawPeer.number(8))),
        Case("RST_STREAM with an unknown code (7)", .ignored, open, frame(RawPeer.rst, 0, 1, RawPeer.number(0xdead))),
        Case(
            "RST_STREAM twice (5.1)", .ignored, open, frame(RawPeer.rst, 0, 1, RawPeer.number(8)),
            frame(RawPeer.rst, 0, 1, RawPeer.number(8))),

        // Section 6.5: SETTINGS.
        Case("SETTINGS on a stream (6.5)", .connectionError([1]), frame(RawPeer.settings, 0, 1, [])),
        Case("SETTINGS of a wrong size (6.5)", .connectionError([6]), frame(RawPeer.settings, 0, 0, [0, 1, 0])),
        Case(
            "SETTINGS that acknowledges and says something (6.5)", .connectionError([6]),
            frame(RawPeer.settings, RawPeer.ack, 0, [0, 1, 0, 0, 0, 0])),
        Case("SETTINGS_ENABLE_PUSH of 2 (6.5.2)", .connectionError([1]), setting(2, 2)),
        Case("SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1 (6.5.2)", .connectionError([3]), setting(4, 0x8000_0000)),
        Case("SETTINGS_MAX_FRAME_SIZE below 16,384 (6.5.2)", .connectionError([1]), setting(5, 16_383)),
        Case("SETTINGS_MAX_FRAME_SIZE above 2^24-1 (6.5.2)", .connectionError([1]), setting(5, 1 << 24)),
        Case("an unknown setting (6.5.2)", .ignored, setting(0x77, 1)),

        // Section 6.6: PUSH_PROMISE.
        Case(
            "PUSH_PROMISE from a client (6.6, 8.4)", .connectionError([1]), open,
            frame(RawPeer.pushPromise, RawPeer.endHeaders, 1, RawPeer.number(2) + [0x82])),

        // Section 6.7: PING.
        Case("PING of a wrong size (6.7)", .connectionError([6]), frame(RawPeer.ping, 0, 0, [0])),
        Case(
            "PING on a stream (6.7)", .connectionError([1]),
            frame(RawPeer.ping, 0, 1, [UInt8](repeating: 0, count: 8))),
        Case(
            "an answer to a PING that was not sent (6.7)", .ignored,
            frame(RawPeer.ping, RawPeer.ack, 0, [UInt8](repeating: 0, count: 8))),

        // Section 6.8: GOAWAY.
        Case(
            "GOAWAY on a stream (6.8)", .connectionError([1]),
            frame(RawPeer.goAway, 0, 1, RawPeer.number(0) + RawPeer.number(0))),
        Case("GOAWAY of a wrong size (6.8)", .connectionError([6]), frame(RawPeer.goAway, 0, 0, [0])),

        // Section 6.9: flow control.
        Case(
            "WINDOW_UPDATE of 0 on the connection (6.9)", .connectionError([1]),
            frame(RawPeer.windowUpdate, 0, 0, RawPeer.number(0))),
        Case(
            "WINDOW_UPDATE of 0 on a stream (6.9)", .connectionError([1]), open,
            frame(RawPeer.windowUpdate, 0, 1, RawPeer.number(0))),
        Case(
            "WINDOW_UPDATE of a wrong size (6.9)", .connectionError([6]), frame(RawPeer.windowUpdate, 0, 0, [0, 0, 1])),
        Case(
            "the connection's window above 2^31-1 (6.9.1)", .connectionError([3]),
            frame(RawPeer.windowUpdate, 0, 0, RawPeer.number(0x7fff_ffff))),
        Case(
            "a stream's window above 2^31-1 (6.9.1)", .streamError([3]), open,
            frame(RawPeer.windowUpdate, 0, 1, RawPeer.number(0x7fff_ffff))),
        // The RFC asks for a connection error; nghttp2 resets the streams it concerns.
        Case(
            "a stream's window above 2^31-1 by SETTINGS (6.9.2)", .streamError([3]), open,
            frame(RawPeer.windowUpdate, 0, 1, RawPeer.number(0x7fff_0000 - 65_535)), setting(4, 0x7fff_ffff)),

        // Section 6.10: CONTINUATION.
        Case(
            "CONTINUATION without HEADERS (6.10)", .connectionError([1]),
            frame(RawPeer.continuation, RawPeer.endHeaders, 1, [0x83])),
        Case(
            "CONTINUATION after END_HEADERS (6.10)", .connectionError([1]), open,
            frame(RawPeer.continuation, RawPeer.endHeaders, 1, [0x83])),
        Case(
            "CONTINUATION on stream 0 (6.10)", .connectionError([1]),
            frame(RawPeer.headers, 0, 1, [0x83]), frame(RawPeer.continuation, RawPeer.endHeaders, 0, [0x84])),

        // Section 8: HTTP.
        Case(
            "HEADERS in the middle without END_STREAM (8.1)", .streamError([1]), open,
            frame(RawPeer.headers, RawPeer.endHeaders, 1, RawPeer.block([("x", "y")]))),
        Case("an upper case field name (8.2.1)", .streamError([1]), headers(RawPeer.request(extra: [("X-Up", "1")]))),
        Case(
            "a connection-specific field (8.2.2)", .streamError([1]),
            headers(RawPeer.request(extra: [("connection", "keep-alive")]))),
        Case("te other than trailers (8.2.2)", .streamError([1]), headers(without("te") + [("te", "gzip")])),
        Case(
            "a pseudo-field that does not exist (8.3)", .streamError([1]),
            headers([(":nonsense", "1")] + RawPeer.request())),
        Case(
            "a response's pseudo-field in a request (8.3)", .streamError([1]),
            headers([(":status", "200")] + RawPeer.request())),
        Case(
            "a pseudo-field after others (8.3)", .streamError([1]),
            headers(without(":path") + [(":path", "/test.Echo/Unary")])),
        Case(
            "a pseudo-field in trailers (8.3)", .streamError([1]), open,
            frame(RawPeer.headers, RawPeer.endHeaders | RawPeer.endStream, 1, RawPeer.block([(":path", "/")]))),
        Case("no :method (8.3.1)", .streamError([1]), headers(without(":method"))),
        Case("no :scheme (8.3.1)", .streamError([1]), headers(without(":scheme"))),
        Case("no :path (8.3.1)", .streamError([1]), headers(without(":path"))),
        Case(
            "an empty :path (8.3.1)", .streamError([1]),
            headers(without(":path").prefix(2) + [(":path", "")] + without(":path").dropFirst(2))),
        Case(":path twice (8.3.1)", .streamError([1]), headers([(":path", "/")] + RawPeer.request())),
        Case(":authority twice (8.3.1)", .streamError([1]), headers([(":authority", "a")] + RawPeer.request())),
        Case(
            "a :path that is no path (8.3.1)", .streamError([1]),
            headers([(":method", "POST"), (":scheme", "http"), (":path", "test.Echo/Unary")])),
        Case(
            "the :path of OPTIONS with another :method (8.3.1)", .streamError([1]),
            headers([(":method", "GET"), (":scheme", "http"), (":path", "*")])),
        Case(
            "CONNECT with a :path (8.5)", .streamError([1]),
            headers([(":method", "CONNECT")] + without(":method"))),
        Case("a line feed in a value (8.2.1)", .streamError([1]), headers(RawPeer.request(extra: [("x", "a\nb")]))),
        Case("a colon in a name (8.2.1)", .streamError([1]), headers(RawPeer.request(extra: [("x:y", "1")]))),
        Case(
            "a content-length that is no number (8.1.1)", .streamError([1]),
            headers(RawPeer.request(extra: [("content-length", "-1")]))),
        Case(
            "content-length twice (8.1.1)", .streamError([1]),
            headers(RawPeer.request(extra: [("content-length", "0"), ("content-length", "0")]))),
        Case(
            "content-length without a body (8.1.1)", .streamError([1]),
            headers(RawPeer.request(extra: [("content-length", "1")]))),
        Case(
            "more bytes than content-length says (8.1.1)", .streamError([1]),
            frame(
                RawPeer.headers, RawPeer.endHeaders, 1,
                RawPeer.block(RawPeer.request("/test.Echo/Stream", extra: [("content-length", "5")]))),
            frame(RawPeer.data, 0, 1, RawPeer.message([1, 2]))),
        Case(
            "an upper case field name in trailers (8.2.1)", .streamError([1]), open,
            frame(RawPeer.headers, RawPeer.endHeaders | RawPeer.endStream, 1, RawPeer.block([("X", "y")]))),
        Case(
            "content-length that is not the body's (8.1.1)", .streamError([1]),
            frame(
                RawPeer.headers, RawPeer.endHeaders, 1,
                RawPeer.block(RawPeer.request(extra: [("content-length", "100")]))),
            frame(RawPeer.data, RawPeer.endStream, 1, RawPeer.message([1]))),
    ]

    @Test(arguments: cases)
    func `a breach of RFC 9113 has the outcome that the RFC names`(_ breach: Case) async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            peer.send(breach.bytes)
            switch breach.outcome {
            case .connectionError(let codes):
                let (code, isClosed) = peer.connectionError()
                #expect(code.map { codes.contains($0) } == true, "GOAWAY with \(String(describing: code))")
                #expect(isClosed)
            case .streamError(let codes):
                let reset = peer.frames { $0.type == RawPeer.rst && $0.stream == 1 }?.last?.errorCode
                #expect(reset.map { codes.contains($0) } == true, "RST_STREAM with \(String(describing: reset))")
                peer.sendRequest(breach.next)
                #expect(peer.answer(on: breach.next)?.grpcStatus == "0")
            case .ignored:
                peer.sendRequest(breach.next)
                #expect(peer.answer(on: breach.next)?.grpcStatus == "0")
            }
            let other = try RawPeer.ready(server.port)
            other.sendRequest(1)
            #expect(other.answer(on: 1)?.body == RawPeer.message([1, 2, 3]))
        }
    }

    @Test func `a wrong second half of the preface ends the connection (3.4)`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer(port: server.port)
            peer.send(Array("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".utf8))
            _ = peer.connectionError()
            #expect(peer.isClosed)
        }
    }

    @Test func `a connection that does not begin with SETTINGS is ended (3.4)`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer(port: server.port)
            peer.send(RawPeer.preface + RawPeer.bytes(RawPeer.ping, 0, 0, [UInt8](repeating: 0, count: 8)))
            let (code, isClosed) = peer.connectionError()
            #expect(code == 1 && isClosed)
        }
    }

    @Test func `random bytes after the preface end the connection, whatever they are`() async throws {
        try await TestServer.with { server in
            var random = SplitMix64(state: 11)
            for _ in 0..<40 {
                let peer = try RawPeer(port: server.port)
                peer.send(RawPeer.preface + (0..<400).map { _ in UInt8.random(in: 0...255, using: &random) })
                // What looks like a long frame waits for its rest: then we go.
                peer.halfClose()
                _ = peer.readAll(timeoutMilliseconds: 3000)
                #expect(peer.isClosed)
            }
            let peer = try RawPeer.ready(server.port)
            peer.sendRequest(1)
            #expect(peer.answer(on: 1)?.grpcStatus == "0")
        }
    }

    @Test func `more DATA than the window allows is a flow-control error (6.9.1)`() async throws {
        try await TestServer.with({ $0.http2.streamWindowBytes = 65_535 }) { server in
            let peer = try RawPeer.ready(server.port)
            // What a paused stream receives is not given back.
            let chunk = RawPeer.bytes(RawPeer.data, 0, 1, RawPeer.message([UInt8](repeating: 0, count: 16_379)))
            peer.send(
                RawPeer.bytes(
                    RawPeer.headers, RawPeer.endHeaders, 1, RawPeer.block(RawPeer.request("/test.Echo/Pause")))
                    + chunk + chunk + chunk + chunk + chunk)
            let outcome = peer.frames { $0.type == RawPeer.rst || $0.type == RawPeer.goAway }?.last
            #expect(outcome?.errorCode == 3)
        }
    }
}

struct SplitMix64: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
