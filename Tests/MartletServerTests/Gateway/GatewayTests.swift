import NIOCore
import Testing

@testable import MartletServer

/// The gateway over real sockets, in front of services that only tests have.
@Suite(.serialized) struct GatewayTests {
    static func with(
        _ changeLimits: (inout GatewayLimits) -> Void = { _ in }, _ changeHTTP: (inout HTTP1Limits) -> Void = { _ in },
        requestTimeout: TimeAmount = .seconds(5), _ body: (GatewayFixture) async throws -> Void
    ) async throws {
        let fixture = try await GatewayFixture(changeLimits, changeHTTP, requestTimeout: requestTimeout)
        do {
            try await body(fixture)
        } catch {
            try? await fixture.stop()
            throw error
        }
        try await fixture.stop()
    }

    // MARK: One answer

    @Test func `a call is answered, and the connection stays`() async throws {
        try await Self.with { fixture in
            let client = try RawClient(port: fixture.port)
            for path in ["/v3/kv/put", "/v3beta/kv/put"] {
                for body in [#"{"key":"YQ=="}"#, "", " ", "{} trailing"] {
                    client.post(path, body)
                    #expect(try client.answer() == (200, "{}"))
                }
            }
        }
    }

    @Test func `errors come with the method's code and text, and with CORS fields (W5, W6, W10)`() async throws {
        try await Self.with { fixture in
            let client = try RawClient(port: fixture.port)
            client.post("/v3/kv/compaction", "{}")
            let head = try client.head()
            #expect(head.status == 400)
            #expect(head.fields["access-control-allow-origin"] == "*")
            let other = try RawClient(port: fixture.port)
            other.post("/v3/kv/compaction", "{}")
            let text = #"etcdserver: mvcc: \"x\"\n"#
            #expect(try other.answer() == (400, #"{"error":"\#(text)","code":11,"message":"\#(text)"}"#))
            other.post("/v3/lease/grant", "{}")
            #expect(try other.answer().status == 501)
            other.post("/v3/nothing", "{}")
            #expect(try other.answer().status == 404)
            other.post("/v3/kv/put", "[1]")
            #expect(try other.answer().status == 400)
            other.send("GET /v3/kv/put HTTP/1.1\r\nHost: x\r\n\r\n")
            let refused = try other.answer()
            #expect(refused.status == 501)
            #expect(
                refused.body == #"{"error":"Method Not Allowed","code":12,"message":"Method Not Allowed"}"#)
            other.send("OPTIONS /v3/kv/put HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try other.answer() == (200, ""))
        }
    }

    @Test func `pipelined requests are answered in order`() async throws {
        try await Self.with { fixture in
            let client = try RawClient(port: fixture.port)
            for delay in [60, 1, 30, 2] { client.post("/v3/kv/range", #"{"limit":\#(delay)}"#) }
            for delay in [60, 1, 30, 2] { #expect(try client.answer() == (200, #"{"count":"\#(delay)"}"#)) }
        }
    }

    @Test func `a client that goes away cancels its call, and marks reach the service`() async throws {
        try await Self.with { fixture in
            do {
                let client = try RawClient(port: fixture.port)
                client.post(
                    "/v3/kv/txn", "{}", fields: "Authorization: abc\r\nGrpc-Metadata-hasleader: true\r\nTE: x\r\n")
                #expect(await fixture.journal.wait(for: "begun abc true"))
            }
            #expect(await fixture.journal.wait(for: "cancelled"))
        }
    }

    @Test func `a call that nobody answers ends by the deadline`() async throws {
        try await Self.with(requestTimeout: .milliseconds(100)) { fixture in
            let client = try RawClient(port: fixture.port)
            client.post("/v3/kv/txn", "{}")
            let answer = try client.answer()
            #expect(answer.status == 504)
            #expect(answer.body.contains(#""code":4"#))
            #expect(await fixture.journal.wait(for: "cancelled"))
        }
    }

    @Test func `a client may have less patience than the server, and says so as in gRPC`() async throws {
        try await Self.with { fixture in
            let client = try RawClient(port: fixture.port)
            client.post("/v3/kv/txn", "{}", fields: "Grpc-Timeout: 100m\r\n")
            let late = #"{"error":"context deadline exceeded","code":4,"message":"context deadline exceeded"}"#
            #expect(try client.answer() == (504, late))
            #expect(await fixture.journal.wait(for: "cancelled"))
            client.post("/v3/kv/put", "{}", fields: "Grpc-Timeout: soon\r\n")
            let refusal = "invalid grpc-timeout: soon"
            #expect(try client.answer() == (400, #"{"error":"\#(refusal)","code":3,"message":"\#(refusal)"}"#))
            for (timeout, status, text) in [
                ("100m", 504, #""grpc_code":4,"http_code":504"#), ("soon", 400, refusal),
            ] {
                let watcher = try RawClient(port: fixture.port)
                watcher.beginPost("/v3/watch", fields: "grpc-timeout: \(timeout)\r\n")
                #expect(try watcher.head().status == status)
                #expect(try watcher.chunk().contains(text))
            }
        }
    }

    @Test func `beyond the limit of calls requests are refused`() async throws {
        try await Self.with({ $0.callsMax = 1 }, requestTimeout: .milliseconds(500)) { fixture in
            let first = try RawClient(port: fixture.port)
            first.post("/v3/kv/txn", "{}")
            #expect(await fixture.journal.wait(for: "begun - -"))
            let second = try RawClient(port: fixture.port)
            second.post("/v3/kv/put", "{}")
            #expect(try second.answer().status == 429)
            #expect(try first.answer().status == 504)
            second.post("/v3/kv/put", "{}")
            #expect(try second.answer().status == 200)
        }
    }

    @Test func `the connection in the process is made again when it has broken`() async throws {
        try await Self.with { fixture in
            let client = try RawClient(port: fixture.port)
            client.post("/v3/kv/put", "{}")
            #expect(try client.answer().status == 200)
            fixture.gateway.breakConnections()
            var statuses: [Int] = []
            for _ in 0..<20 where statuses.last != 200 {
                client.post("/v3/kv/put", "{}")
                statuses.append(try client.answer().status)
            }
            #expect(statuses.last == 200)
        }
    }

    // MARK: Streams

    @Test func `objects of a body are messages, answered line by line while it goes on (W7)`() async throws {
        try await Self.with { fixture in
            let client = try RawClient(port: fixture.port)
            client.beginPost("/v3/watch")
            client.sendChunk(#"{"create_request":{"key":"YWFh"}}"#)
            let head = try client.head()
            #expect(head.status == 200)
            #expect(head.fields["transfer-encoding"] == "chunked")
            #expect(try client.chunk() == "{\"result\":{\"watch_id\":\"7\"}}\n")
            // Two at once and a half, and the other half.
            client.sendChunk(#"{"progress_request":{}} {"cancel_request":{"watch_id":1}} {"cancel_req"#)
            var text = try client.chunk()
            while text.count(where: { $0 == "\n" }) < 2 { text += try client.chunk() }
            #expect(text == "{\"result\":{\"watch_id\":\"2\"}}\n{\"result\":{\"watch_id\":\"4\"}}\n")
            client.sendChunk(#"uest":{"watch_id":300}}"#)
            #expect(try client.chunk() == "{\"result\":{\"watch_id\":\"5\"}}\n")
            #expect(!fixture.journal.all.contains("half-closed"))
            client.send("0\r\n\r\n")
            #expect(try client.chunk() == "")
            #expect(fixture.journal.all.contains("half-closed"))
            // The connection goes on with the next request.
            client.post("/v3/kv/put", "{}")
            #expect(try client.answer() == (200, "{}"))
        }
    }

    @Test func `a stream's error is its last line, with a status of its own if it is the first`() async throws {
        try await Self.with { fixture in
            let client = try RawClient(port: fixture.port)
            client.post("/v3/election/observe", "{}")
            #expect(try client.head().status == 400)
            #expect(
                try client.chunk()
                    == #"{"error":{"code":9,"message":"election: no leader","grpc_code":9,"http_code":400}}"# + "\n")
            #expect(try client.chunk() == "")

            let other = try RawClient(port: fixture.port)
            other.beginPost("/v3/watch")
            other.sendChunk("{}")
            #expect(try other.head().status == 200)
            #expect(try other.chunk().hasPrefix(#"{"result""#))
            other.sendChunk(#"{"create_request":5}"#)
            #expect(try other.chunk().hasPrefix(#"{"error":{"code":3,"#))
            #expect(try other.chunk() == "")
            #expect(await fixture.journal.wait(for: "cancelled"))
        }
    }

    @Test func `a reader that does not read holds the service back`() async throws {
        try await Self.with { fixture in
            let client = try RawClient(port: fixture.port, receiveBufferBytes: 64 << 10)
            client.post("/v3/maintenance/snapshot", "")
            #expect(try client.head().status == 200)
            var sent = -1
            for _ in 0..<100 {
                let now = fixture.journal.all.count
                if now == sent { break }
                sent = now
                try await Task.sleep(for: .milliseconds(200))
            }
            // 4,000 chunks of 32 KiB are 128 MB; what waits on the way is a fraction of that.
            #expect(sent < 500, "\(sent) of 4,000 chunks left the service")
            // Others are not held up.
            let other = try RawClient(port: fixture.port)
            other.post("/v3/kv/put", "{}")
            #expect(try other.answer().status == 200)
            // And all of it arrives.
            var bytes = 0
            while true {
                let chunk = try client.chunk()
                if chunk.isEmpty { break }
                bytes += chunk.utf8.count
            }
            let perChunk = #"{"result":{"blob":""}}"#.utf8.count + 1 + ((32 << 10) + 2) / 3 * 4
            #expect(bytes == 4_000 * perChunk)
        }
    }

    @Test func `a reader of a stream that goes away cancels it, and its place is free again`() async throws {
        try await Self.with({ $0.streamsMax = 1 }) { fixture in
            do {
                let client = try RawClient(port: fixture.port)
                client.beginPost("/v3/watch")
                client.sendChunk("{}")
                #expect(try client.head().status == 200)
                let second = try RawClient(port: fixture.port)
                second.post("/v3/watch", "{}")
                #expect(try second.head().status == 429)
            }
            #expect(await fixture.journal.wait(for: "cancelled"))
            let third = try RawClient(port: fixture.port)
            third.post("/v3/lease/keepalive", "{}")
            #expect(try third.head().status == 200)
        }
    }

    @Test func `HTTP-1-0 has its stream without chunks, until the end of the connection`() async throws {
        try await Self.with { fixture in
            let client = try RawClient(port: fixture.port)
            client.send("POST /v3/watch HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
            let head = try client.head()
            #expect(head.status == 200)
            #expect(head.fields["transfer-encoding"] == nil)
            #expect(try client.line() == #"{"result":{}}"#)
            #expect(client.isClosed)
        }
    }

    // MARK: What HTTP/1.1 is bounded by

    @Test func `a body that is too large is refused, and so is a header`() async throws {
        try await Self.with({ _ in }, { $0.bodyBytesMax = 1000 }) { fixture in
            let client = try RawClient(port: fixture.port)
            client.post("/v3/kv/put", String(repeating: " ", count: 100_000))
            #expect(try client.answer().status == 429)
            #expect(client.isClosed)
            let other = try RawClient(port: fixture.port)
            other.send("POST /v3/kv/put HTTP/1.1\r\nx: \(String(repeating: "y", count: 20_000))\r\n\r\n")
            #expect(try other.head().status == 431)
            #expect(other.isClosed)
        }
    }

    @Test func `what is no HTTP is told so, behind the answers to what was`() async throws {
        try await Self.with { fixture in
            let client = try RawClient(port: fixture.port)
            client.send("POST no HTTP\r\n\r\n")
            #expect(try client.answer().status == 400)
            #expect(client.isClosed)
            let second = try RawClient(port: fixture.port)
            second.post("/v3/kv/range", #"{"limit":50}"#)
            second.send("no HTTP at all\r\n\r\n")
            #expect(try second.answer() == (200, #"{"count":"50"}"#))
            #expect(second.isClosed)
            let third = try RawClient(port: fixture.port)
            third.beginPost("/v3/watch")
            third.sendChunk("{}")
            #expect(try third.head().status == 200)
            _ = try third.chunk()
            third.send("no chunk\r\n")
            #expect(third.isClosed)
            #expect(await fixture.journal.wait(for: "cancelled"))
        }
    }

    @Test func `a request that would leave HTTP-1-1 is answered, and is the last`() async throws {
        try await Self.with { fixture in
            let client = try RawClient(port: fixture.port)
            client.post("/v3/kv/put", "{}", fields: "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n")
            let head = try client.head()
            #expect(head.status == 200)
            #expect(head.fields["connection"] == "close")
        }
    }

    @Test func `a client that takes its time is not waited for`() async throws {
        try await Self.with(
            { _ in },
            {
                $0.firstHeadTimeout = .milliseconds(200)
                $0.bodyTimeout = .milliseconds(200)
                $0.idleTimeout = .milliseconds(300)
            }
        ) { fixture in
            let head = try RawClient(port: fixture.port)
            head.send("POST /v3/kv/put HTTP/1.1\r\nHost: x\r\n")
            let body = try RawClient(port: fixture.port)
            body.send("POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
            let idle = try RawClient(port: fixture.port)
            idle.post("/v3/kv/put", "{}")
            #expect(try idle.answer().status == 200)
            let stream = try RawClient(port: fixture.port)
            stream.beginPost("/v3/watch")
            stream.sendChunk("{}")
            #expect(try stream.head().status == 200)
            _ = try stream.chunk()
            #expect(head.isClosed)
            #expect(body.isClosed)
            #expect(idle.isClosed)
            // A stream may be at rest as long as it likes.
            try await Task.sleep(for: .milliseconds(400))
            stream.sendChunk("{}")
            #expect(try stream.chunk() == "{\"result\":{}}\n")
        }
    }

    @Test func `a client that asks before it sends its body is told to go on`() async throws {
        try await Self.with { fixture in
            let client = try RawClient(port: fixture.port)
            client.send("POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            #expect(try client.head().status == 100)
            client.send("{}")
            #expect(try client.answer() == (200, "{}"))
        }
    }

    @Test func `draining answers what is being worked on and closes`() async throws {
        try await Self.with { fixture in
            let busy = try RawClient(port: fixture.port)
            busy.post("/v3/kv/range", #"{"limit":100}"#)
            let idle = try RawClient(port: fixture.port)
            idle.post("/v3/kv/put", "{}")
            #expect(try idle.answer().status == 200)
            fixture.http.drain()
            #expect(try busy.answer() == (200, #"{"count":"100"}"#))
            #expect(busy.isClosed)
            #expect(idle.isClosed)
        }
    }
}
