import Glibc
import HTTP2
import NIOCore
import Testing

/// Floods, and clients that do not read: each must cost the server a bounded amount, and no healthy client its
/// connection.
@Suite struct AbuseTests {
    @Test func `a CONTINUATION flood ends the connection`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            var bytes = RawPeer.bytes(RawPeer.headers, 0, 1, RawPeer.block(RawPeer.request()))
            for number in 0..<100 {
                bytes += RawPeer.bytes(RawPeer.continuation, 0, 1, RawPeer.block([("x-\(number)", "v")]))
            }
            peer.send(bytes)
            #expect(peer.connectionError().isClosed)
        }
    }

    @Test func `a field block that swells by references to one large field is refused, not stored`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            // A field of 4,000 bytes, put into the table (0x40), then repeated 16,000 times by a byte each (0xbe).
            let large = [0x40] + RawPeer.block([("x", String(repeating: "v", count: 4000))]).dropFirst()
            peer.send(
                RawPeer.bytes(RawPeer.headers, 0, 1, RawPeer.block(RawPeer.request()) + large)
                    + RawPeer.bytes(
                        RawPeer.continuation, RawPeer.endHeaders, 1, [UInt8](repeating: 0xbe, count: 16_000))
                    + RawPeer.bytes(RawPeer.data, RawPeer.endStream, 1, RawPeer.message([1])))
            #expect(peer.answer(on: 1)?.httpStatus == "431")
        }
    }

    @Test func `streams that are reset faster than the budget allows end the connection`() async throws {
        try await TestServer.with({
            $0.http2.resetBudget = 500
            $0.http2.resetBudgetPerSecond = 10
        }) { server in
            let peer = try RawPeer.ready(server.port)
            let block = RawPeer.block(RawPeer.request())
            for number in 0..<1000 {
                let stream = UInt32(number * 2 + 1)
                guard
                    peer.send(
                        RawPeer.bytes(RawPeer.headers, RawPeer.endHeaders, stream, block)
                            + RawPeer.bytes(RawPeer.rst, 0, stream, RawPeer.number(8)))
                else { break }
            }
            let (code, isClosed) = peer.connectionError()
            #expect(code == 11 && isClosed)
        }
    }

    @Test func `a peer that makes us reset its streams spends the same budget (CVE-2025-8671)`() async throws {
        try await TestServer.with({
            $0.http2.resetBudget = 500
            $0.http2.resetBudgetPerSecond = 10
        }) { server in
            let peer = try RawPeer.ready(server.port)
            let block = RawPeer.block(RawPeer.request("/test.Echo/Stream"))
            for number in 0..<1000 {
                let stream = UInt32(number * 2 + 1)
                guard
                    peer.send(
                        RawPeer.bytes(RawPeer.headers, RawPeer.endHeaders, stream, block)
                            + RawPeer.bytes(RawPeer.windowUpdate, 0, stream, RawPeer.number(0x7fff_ffff)))
                else { break }
            }
            let (code, isClosed) = peer.connectionError()
            #expect(code == 11 && isClosed)
        }
    }

    @Test func `a healthy client may cancel thousands of streams at once`() async throws {
        try await TestServer.with { server in
            let client = try await server.connect()
            let calls = (0..<4000).map { _ in client.stream("/test.Echo/Stream").call }
            #expect(await server.journal.wait(for: "opened", count: 4000))
            for call in calls { call.cancel() }
            #expect(await server.journal.wait(for: "cancelled", count: 4000))
            let answer = try await client.unary("/test.Echo/Unary", ByteBuffer(string: "still here"))
            #expect(answer == ByteBuffer(string: "still here"))
            client.close()
        }
    }

    @Test func `PINGs are answered, and too many end the connection with too_many_pings`() async throws {
        try await TestServer.with({
            $0.http2.pingStrikesMax = 2
            $0.http2.pingIntervalMin = .seconds(5)
        }) { server in
            let peer = try RawPeer.ready(server.port)
            let payload: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
            peer.sendFrame(RawPeer.ping, 0, 0, payload)
            // (Two closures, one of them inside of #expect, are one function for Swift 6.3.1 here: hence no closure in
            // there.)
            let answer = peer.frames { $0.type == RawPeer.ping }?.last
            #expect(answer?.payload == payload)
            for _ in 0..<3 { peer.sendFrame(RawPeer.ping, 0, 0, payload) }
            let last = peer.frames { $0.type == RawPeer.goAway }?.last
            #expect(last?.errorCode == 11)
            #expect(Array((last?.payload ?? []).dropFirst(8)) == Array("too_many_pings".utf8))
            #expect(peer.connectionError().isClosed)
        }
    }

    @Test func `a flood of PINGs without reading the answers is ended`() async throws {
        try await TestServer.with({
            $0.http2.pingStrikesMax = .max
            $0.http2.lingerTimeout = .milliseconds(10)
        }) { server in
            let peer = try RawPeer(port: server.port, receiveBuffer: 4096)
            peer.send(RawPeer.preface + RawPeer.bytes(RawPeer.settings, 0, 0, []))
            let pings = (0..<1000).flatMap { _ in RawPeer.bytes(RawPeer.ping, 0, 0, [UInt8](repeating: 0, count: 8)) }
            // Either the server hangs up or it stops to read: in both cases sending comes to a halt, once the sockets'
            // buffers are full. Linux lets those grow to tens of megabytes, so the end is far beyond them: 170 MB.
            var rounds = 0
            while rounds < 10_000, peer.send(pings, timeoutMilliseconds: 500) { rounds += 1 }
            #expect(rounds < 10_000)
            let other = try RawPeer.ready(server.port)
            other.sendRequest(1)
            #expect(other.answer(on: 1)?.grpcStatus == "0")
        }
    }

    @Test func `a flood of SETTINGS ends the connection`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            peer.send((0..<1000).flatMap { _ in RawPeer.bytes(RawPeer.settings, 0, 0, []) })
            let (code, isClosed) = peer.connectionError()
            #expect(code == 11 && isClosed)
        }
    }

    @Test func `a SETTINGS frame of too many entries ends the connection`() async throws {
        try await TestServer.with { server in
            let peer = try RawPeer.ready(server.port)
            peer.sendFrame(RawPeer.settings, 0, 0, (0..<1000).flatMap { _ in [0, 0x77, 0, 0, 0, 1] as [UInt8] })
            #expect(peer.connectionError().isClosed)
        }
    }

    @Test func `a flood of empty DATA frames ends the connection`() async throws {
        try await TestServer.with({ $0.http2.uselessFramesMax = 1000 }) { server in
            let peer = try RawPeer.ready(server.port)
            peer.sendFrame(RawPeer.headers, RawPeer.endHeaders, 1, RawPeer.block(RawPeer.request("/test.Echo/Stream")))
            peer.send((0..<5000).flatMap { _ in RawPeer.bytes(RawPeer.data, 0, 1, []) })
            let (code, isClosed) = peer.connectionError()
            #expect(code == 11 && isClosed)
        }
    }

    @Test func `a client that asks and does not read is not read from, and costs a bounded amount`() async throws {
        try await TestServer.with({ $0.http2.blockedPendingBytesMax = 1 << 20 }) { server in
            let peer = try RawPeer(port: server.port, receiveBuffer: 4096)
            // Windows that never shut.
            peer.send(
                RawPeer.preface + RawPeer.bytes(RawPeer.settings, 0, 0, [0, 4] + RawPeer.number(0x7fff_ffff))
                    + RawPeer.bytes(RawPeer.windowUpdate, 0, 0, RawPeer.number(0x7000_0000)))
            let block = RawPeer.block(RawPeer.request("/test.Echo/Bytes"))
            var sent = 0
            while sent < 100_000 {
                let stream = UInt32(sent * 2 + 1)
                let request =
                    RawPeer.bytes(RawPeer.headers, RawPeer.endHeaders, stream, block)
                    + RawPeer.bytes(RawPeer.data, RawPeer.endStream, stream, RawPeer.message(RawPeer.number(100_000)))
                guard peer.send(request, timeoutMilliseconds: 500) else { break }
                sent += 1
            }
            #expect(sent < 100_000, "the server reads on and on")
            // 100 kB each: what was begun is what one or two reads of 64 KiB held beyond the limits.
            let begun = await server.counters("/test.Echo/Bytes").started
            #expect(begun < 2000, "\(begun) answers wait")
            let other = try RawPeer.ready(server.port)
            other.sendRequest(1)
            #expect(other.answer(on: 1)?.grpcStatus == "0")
        }
    }

    @Test func `answers that no window lets through are bounded too`() async throws {
        try await TestServer.with({ $0.http2.pendingBytesMax = 1 << 20 }) { server in
            let peer = try RawPeer.ready(server.port, settings: [0, 4] + RawPeer.number(0))
            var refused = 0
            for number in 0..<30 {
                let stream = UInt32(number * 2 + 1)
                peer.sendRequest(
                    stream, RawPeer.request("/test.Echo/Bytes"), body: RawPeer.message(RawPeer.number(100_000)))
                let frame = peer.frames { $0.stream == stream && $0.type == RawPeer.headers }?.last
                if frame.map({ $0.flags & RawPeer.endStream != 0 }) == true { refused += 1 }
            }
            #expect(refused == 30 - 11)
        }
    }

    @Test func `incomplete messages on many streams are bounded together`() async throws {
        try await TestServer.with({ $0.http2.heldRequestBytesMax = 1 << 20 }) { server in
            let peer = try RawPeer.ready(server.port)
            let part = RawPeer.message([UInt8](repeating: 1, count: 16_379), length: 1 << 20)
            var bytes: [UInt8] = []
            for number in 0..<80 {
                let stream = UInt32(number * 2 + 1)
                bytes += RawPeer.bytes(RawPeer.headers, RawPeer.endHeaders, stream, RawPeer.block(RawPeer.request()))
                bytes += RawPeer.bytes(RawPeer.data, 0, stream, part)
            }
            peer.send(bytes)
            let answer = peer.answer(on: 129)
            #expect(answer?.grpcStatus == "8")
            #expect(answer?.grpcMessage == "too many incomplete messages on this connection")
        }
    }

    @Test func `ten thousand streams are open at once on one connection`() async throws {
        try await TestServer.with { server in
            let client = try await server.connect()
            let count = 10_000
            let streams = (0..<count).map { _ in client.stream("/test.Echo/Stream") }
            for (index, stream) in streams.enumerated() { stream.call.send(ByteBuffer(integer: index)) }
            for (index, stream) in streams.enumerated() {
                var iterator = stream.messages.makeAsyncIterator()
                #expect(try await iterator.next() == ByteBuffer(integer: index))
            }
            for stream in streams { stream.call.halfClose() }
            for stream in streams {
                var iterator = stream.messages.makeAsyncIterator()
                #expect(try await iterator.next() == nil)
            }
            let counters = await server.counters("/test.Echo/Stream")
            #expect(counters.started == UInt64(count) && counters.handled[0] == UInt64(count))
            client.close()
        }
    }

    @Test func `sessions that are changed at random end no server`() async throws {
        try await TestServer.with { server in
            var random = SplitMix64(state: 20)
            let block = RawPeer.block(RawPeer.request("/test.Echo/Stream"))
            var session = RawPeer.bytes(RawPeer.settings, 0, 0, [0, 4] + RawPeer.number(100_000))
            for stream: UInt32 in [1, 3, 5] {
                session += RawPeer.bytes(RawPeer.headers, RawPeer.endHeaders, stream, block)
                session += RawPeer.bytes(RawPeer.data, 0, stream, RawPeer.message([1, 2, 3]) + RawPeer.message([4]))
                session += RawPeer.bytes(RawPeer.windowUpdate, 0, stream, RawPeer.number(1000))
                session += RawPeer.bytes(RawPeer.ping, 0, 0, [UInt8](repeating: 1, count: 8))
                session += RawPeer.bytes(RawPeer.data, RawPeer.endStream, stream, RawPeer.message([5]))
                session += RawPeer.bytes(RawPeer.rst, 0, stream, RawPeer.number(8))
            }
            for _ in 0..<300 {
                var bytes = session
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    let index = Int.random(in: bytes.indices, using: &random)
                    switch Int.random(in: 0..<3, using: &random) {
                    case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                    case 1: bytes.remove(at: index)
                    default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
                    }
                }
                let peer = try RawPeer(port: server.port)
                peer.send(RawPeer.preface + bytes)
                peer.halfClose()
                _ = peer.readAll(timeoutMilliseconds: 3000)
                #expect(peer.isClosed)
            }
            for _ in 0..<300 where server.server.connectionCount > 0 { try await Task.sleep(for: .milliseconds(10)) }
            #expect(server.server.connectionCount == 0)
            let opened = server.journal.all.count { $0 == "opened" }
            let counters = await server.counters("/test.Echo/Stream")
            #expect(opened > 100)
            #expect(counters.started >= UInt64(opened))
            #expect(counters.handled.reduce(0, +) == counters.started)
        }
    }
}
