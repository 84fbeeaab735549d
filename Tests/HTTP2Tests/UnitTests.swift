import NIOCore
import NIOEmbedded
import Testing

@testable import HTTP2

@Suite struct UnitTests {
    // MARK: Encodings

    private func parse(_ text: String) -> Int64? {
        Array(text.utf8).withUnsafeBufferPointer { GRPCTimeout.parse($0) }
    }

    @Test(
        arguments: [
            ("0n", 0), ("1n", 1), ("5u", 5000), ("50m", 50_000_000), ("2S", 2_000_000_000), ("1M", 60_000_000_000),
            ("1H", 3_600_000_000_000), ("99999999H", GRPCTimeout.nanosecondsMax), ("00000001S", 1_000_000_000),
        ] as [(String, Int64)])
    func `timeouts are read in all units`(_ text: String, _ nanoseconds: Int64) {
        #expect(parse(text) == nanoseconds)
    }

    @Test(arguments: ["", "5", "S", "123456789S", "-1S", "1.5S", "1s", "1 S", "+1S", "1SS"])
    func `timeouts that are none are refused`(_ text: String) {
        #expect(parse(text) == nil)
    }

    @Test func `a written timeout is read again as no less, and hardly more`() {
        var random = SplitMix64(state: 3)
        for _ in 0..<10_000 {
            let nanoseconds = Int64.random(
                in: 0...GRPCTimeout.nanosecondsMax >> Int64.random(in: 0...50, using: &random), using: &random)
            let text = Array(GRPCTimeout.format(nanoseconds: nanoseconds).utf8)
            let back = text.withUnsafeBufferPointer { GRPCTimeout.parse($0) }
            #expect(back.map { $0 >= nanoseconds && $0 - nanoseconds <= nanoseconds / 100_000 } == true)
        }
    }

    @Test func `status messages survive percent-encoding`() {
        #expect(PercentEncoding.encode("a b~%\n\u{e4}") == Array("a b~%25%0A%C3%A4".utf8))
        for text in ["", "plain", "100%", "größer\r\n", "日本語", "%%%", "%4"] {
            #expect(PercentEncoding.decode(PercentEncoding.encode(text)) == text)
        }
        #expect(PercentEncoding.decode(Array("bad %zz %4".utf8)) == "bad %zz %4")
    }

    @Test func `base64 is that of RFC 4648, with or without padding`() {
        let known: [(String, String)] = [
            ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
        ]
        for (plain, encoded) in known {
            #expect(Base64.encode(Array(plain.utf8)) == Array(encoded.utf8))
            #expect(Base64.decode(Array(encoded.utf8)) == Array(plain.utf8))
        }
        #expect(Base64.decode(Array("Zg==".utf8)) == Array("f".utf8))
        #expect(Base64.decode(Array("Z*".utf8)) == nil)
        let all = (0...255).map { UInt8($0) }
        #expect(Base64.decode(Base64.encode(all)) == all)
    }

    @Test func `methods are found by path, and what is unknown is told as Go's server does`() {
        var methods = GRPCMethods()
        let paths = (0..<50).map { "/pkg.Service\($0 % 5)/Method\($0)" }
        for path in paths { methods.register(path, .unary { _, _ in }) }
        func find(_ path: String) -> Int? { Array(path.utf8).withUnsafeBufferPointer { methods.find($0) } }
        for (index, path) in paths.enumerated() {
            #expect(find(path) == index)
        }
        for path in ["/pkg.Service0/Method1", "/pkg.Service0/Method", "", "/", "/pkg.Service0/Method00"] {
            #expect(find(path) == nil)
        }
        #expect(methods.unknown("/pkg.Service0/X").message == "unknown method X for service pkg.Service0")
        #expect(methods.unknown("/pkg.Other/X").message == "unknown service pkg.Other")
        #expect(methods.unknown("nonsense").message == "malformed method name: \"nonsense\"")
    }

    // MARK: Queues

    @Test func `an outbound queue gives out what was put in, in order, in pieces of any size`() {
        var random = SplitMix64(state: 5)
        for _ in 0..<30 {
            var queue = OutboundQueue()
            var model: [UInt8] = []
            var output = ByteBuffer()
            var taken: [UInt8] = []
            for _ in 0..<30 {
                let size = [0, 1, 100, 8191, 8192, 20_000].randomElement(using: &random)!
                let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
                let prefix = [0] + (0..<4).map { UInt8(size >> (24 - 8 * $0) & 255) }
                switch Int.random(in: 0..<5, using: &random) {
                case 4:
                    let cut = Int.random(in: 0...size, using: &random)
                    let parts = [ByteBuffer(bytes: bytes[..<cut]), ByteBuffer(bytes: bytes[cut...])]
                    #expect(queue.appendMessage(parts: parts) == size)
                    model += prefix + bytes
                case 0:
                    queue.appendMessage(ByteBuffer(bytes: bytes))
                    model += prefix + bytes
                case 1:
                    let length = queue.appendMessage { $0.writeBytes(bytes) }
                    #expect(length == size)
                    model += prefix + bytes
                case 2:
                    queue.append(ByteBuffer(bytes: bytes))
                    model += bytes
                default:
                    output.clear()
                    queue.take(Int.random(in: 0...queue.count, using: &random), into: &output)
                    taken += Array(buffer: output)
                }
                #expect(queue.count == model.count - taken.count)
            }
            output.clear()
            queue.take(queue.count, into: &output)
            taken += Array(buffer: output)
            #expect(queue.isEmpty)
            let same = taken == model
            #expect(same)
        }
    }

    @Test func `a token bucket gives so many at once, and so many a second`() {
        var bucket = TokenBucket(capacity: 10, perSecond: 5)
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
        func take(_ count: Int, after delay: TimeAmount) -> Bool { bucket.take(count, at: start + delay) }
        for _ in 0..<10 { #expect(take(1, after: .zero)) }
        #expect(!take(1, after: .zero))
        #expect(!take(1, after: .milliseconds(199)))
        #expect(take(1, after: .milliseconds(400)))
        #expect(take(1, after: .milliseconds(400)))
        #expect(!take(1, after: .milliseconds(400)))
        bucket.giveBack(3)
        #expect(take(3, after: .milliseconds(400)))
        // Rest is not hoarded.
        #expect(take(10, after: .hours(1)))
        #expect(!take(1, after: .hours(1)))
    }

    @Test func `inflating stops at the limit, to the byte`() throws {
        let compressed = GRPCServerTests.gzip([UInt8](repeating: 1, count: 40_000))
        for (limit, fits) in [(40_000, true), (39_999, false), (100_000, true), (0, false)] {
            let result = compressed.withUnsafeBytes { bytes in
                Result { () throws(Inflater.Failure) in try Inflater.inflate(bytes, atMost: limit) }
            }
            #expect((try? result.get().readableBytes) == (fits ? 40_000 : nil))
        }
        let nothing = GRPCServerTests.gzip([])
        let empty = try nothing.withUnsafeBytes { try Inflater.inflate($0, atMost: 0) }
        #expect(empty.readableBytes == 0)
    }

    // MARK: Time

    final class Waiting: HTTP2Stream, @unchecked Sendable {
        var fired: NIODeadline?
        override func deadlineReached() { fired = eventLoop.now }
    }

    @Test func `deadlines pass in the wheel no sooner than they should, and at most a slot later`() throws {
        let channel = EmbeddedChannel()
        let loop = channel.embeddedEventLoop
        let connection = GRPCServer(methods: GRPCMethods()).makeConnection(on: loop)
        let wheel = DeadlineWheel(eventLoop: loop)
        var random = SplitMix64(state: 9)
        loop.advanceTime(by: .milliseconds(1234))
        var streams: [(Waiting, NIODeadline)] = []
        for round in 0..<300 {
            let stream = Waiting(connection: connection)
            stream.index = round
            // Up to a minute: several turns of the wheel.
            let deadline = loop.now + .milliseconds(Int64.random(in: 0...60_000, using: &random))
            wheel.insert(stream, at: deadline)
            streams.append((stream, deadline))
            if round % 10 == 0 { loop.advanceTime(by: .milliseconds(Int64.random(in: 0...100, using: &random))) }
        }
        let removed = streams.indices.filter { $0 % 7 == 0 && streams[$0].0.fired == nil }
        for index in removed { wheel.remove(streams[index].0) }
        for _ in 0..<7000 { loop.advanceTime(by: .milliseconds(10)) }
        for (index, (stream, deadline)) in streams.enumerated() {
            if removed.contains(index) {
                #expect(stream.fired == nil)
            } else {
                let late = try #require(stream.fired) - deadline
                #expect(late >= .zero && late <= .milliseconds(16 + 10))
            }
        }
        // Nothing waits, so nothing ticks: there is nothing left to run.
        wheel.insert(streams[0].0, at: loop.now)
        loop.advanceTime(by: .milliseconds(50))
        #expect(streams[0].0.fired != nil)
        _ = try? channel.finish()
    }

    /// A server connection on an embedded channel, and what it writes.
    final class Embedded {
        let channel = EmbeddedChannel()
        let server: GRPCServer
        var loop: EmbeddedEventLoop { channel.embeddedEventLoop }

        init(_ methods: GRPCMethods, _ change: (inout HTTP2Limits) -> Void = { _ in }) throws {
            var options = GRPCServer.Options()
            change(&options.http2)
            server = GRPCServer(methods: methods, options: options)
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            try channel.pipeline.syncOperations.addHandler(server.makeConnection(on: loop))
            try receive(RawPeer.preface + RawPeer.bytes(RawPeer.settings, 0, 0, []))
            try receive(RawPeer.bytes(RawPeer.settings, RawPeer.ack, 0, []))
            _ = try writes()
        }

        func receive(_ bytes: [UInt8]) throws { try channel.writeInbound(ByteBuffer(bytes: bytes)) }

        func writes() throws -> [[UInt8]] {
            var writes: [[UInt8]] = []
            while let buffer = try channel.readOutbound(as: ByteBuffer.self) { writes.append(Array(buffer: buffer)) }
            return writes
        }

        static func request(_ stream: UInt32, _ path: String) -> [UInt8] {
            RawPeer.bytes(RawPeer.headers, RawPeer.endHeaders, stream, RawPeer.block(RawPeer.request(path)))
                + RawPeer.bytes(RawPeer.data, RawPeer.endStream, stream, RawPeer.message([1]))
        }
    }

    final class Calls: @unchecked Sendable {  // of one thread's tests
        var all: [GRPCCall] = []
    }

    private func collecting(_ calls: Calls) -> GRPCMethods {
        var methods = GRPCMethods()
        methods.register("/a.A/Later", .unary { call, _ in calls.all.append(call) })
        methods.register("/a.A/Now", .unary { call, message in call.reply(message) })
        return methods
    }

    @Test func `replies to what was read at once are one write`() throws {
        let embedded = try Embedded(collecting(Calls()))
        try embedded.receive((0..<50).flatMap { Embedded.request($0 * 2 + 1, "/a.A/Now") })
        #expect(try embedded.writes().count == 1)
        _ = try? embedded.channel.finish()
    }

    @Test func `replies of a batch are one write for each connection, at its end`() throws {
        let calls = Calls()
        defer { calls.all = [] }
        let embedded = try Embedded(collecting(calls))
        try embedded.receive((0..<50).flatMap { Embedded.request($0 * 2 + 1, "/a.A/Later") })
        #expect(try embedded.writes().isEmpty)
        #expect(calls.all.count == 50)
        let coordinator = FlushCoordinator.on(embedded.loop)
        coordinator.beginBatch()
        for call in calls.all { call.reply(ByteBuffer(string: "x")) }
        embedded.loop.run()
        #expect(try embedded.writes().isEmpty)
        coordinator.endBatch()
        #expect(try embedded.writes().count == 1)
        _ = try? embedded.channel.finish()
    }

    @Test func `replies outside of a batch are one write for each connection, in the same round of tasks`() throws {
        let calls = Calls()
        defer { calls.all = [] }
        let embedded = try Embedded(collecting(calls))
        try embedded.receive((0..<50).flatMap { Embedded.request($0 * 2 + 1, "/a.A/Later") })
        for call in calls.all { call.reply(ByteBuffer(string: "x")) }
        #expect(try embedded.writes().isEmpty)
        embedded.loop.run()
        #expect(try embedded.writes().count == 1)
        // A second answer, and one to a call that has ended, go nowhere.
        for call in calls.all { call.reply(ByteBuffer(string: "y")) }
        for call in calls.all { call.finish(.ok) }
        embedded.loop.run()
        #expect(try embedded.writes().isEmpty)
        _ = try? embedded.channel.finish()
    }

    @Test func `a call that is held after its end is not used for another`() throws {
        let calls = Calls()
        defer { calls.all = [] }
        let embedded = try Embedded(collecting(calls))
        try embedded.receive(Embedded.request(1, "/a.A/Later"))
        let first = try #require(calls.all.first)
        first.reply(ByteBuffer())
        embedded.loop.run()
        #expect(!first.isOpen)
        for stream: UInt32 in [3, 5, 7] {
            try embedded.receive(Embedded.request(stream, "/a.A/Later"))
            let call = try #require(calls.all.last)
            #expect(call !== first)
            call.reply(ByteBuffer())
            embedded.loop.run()
        }
        #expect(first.path == "/a.A/Later")
        _ = try? embedded.channel.finish()
    }

    @Test func `a call that nobody holds is used again, clean`() throws {
        let calls = Calls()
        defer { calls.all = [] }
        let embedded = try Embedded(collecting(calls))
        var seen: [ObjectIdentifier] = []
        for stream in 0..<20 {
            let extra = stream % 2 == 0 ? [("token", "t"), ("grpc-timeout", "1S")] : []
            try embedded.receive(
                RawPeer.bytes(
                    RawPeer.headers, RawPeer.endHeaders, UInt32(stream * 2 + 1),
                    RawPeer.block(RawPeer.request("/a.A/Later", extra: extra)))
                    + RawPeer.bytes(RawPeer.data, RawPeer.endStream, UInt32(stream * 2 + 1), RawPeer.message([1])))
            #expect(calls.all.count == 1)
            let call = calls.all.removeLast()
            #expect((call.metadata("token") != nil) == (stream % 2 == 0))
            #expect((call.timeLimit != nil) == (stream % 2 == 0))
            #expect(!call.isCancelled)
            seen.append(ObjectIdentifier(call))
            call.reply(ByteBuffer())
            embedded.loop.run()
        }
        _ = try? embedded.channel.finish()
    }

    @Test func `a client's keep-alive of a second is welcome for hours, with and without streams`() throws {
        let embedded = try Embedded(collecting(Calls()))
        let ping = RawPeer.bytes(RawPeer.ping, 0, 0, [UInt8](repeating: 1, count: 8))
        for open in [false, true] {
            if open { try embedded.receive(Embedded.request(1, "/a.A/Later")) }
            for _ in 0..<4000 {
                embedded.loop.advanceTime(by: .seconds(1))
                try embedded.receive(ping)
            }
            let types = try embedded.writes().map { $0[3] }
            #expect(types.allSatisfy { $0 == RawPeer.ping })
            #expect(types.count >= 4000)
        }
        #expect(embedded.channel.isActive)
        _ = try? embedded.channel.finish()
    }

    @Test func `pings in rapid succession are forgiven after data, and otherwise not`() throws {
        let embedded = try Embedded(collecting(Calls())) { $0.pingStrikesMax = 5 }
        let ping = RawPeer.bytes(RawPeer.ping, 0, 0, [UInt8](repeating: 1, count: 8))
        for stream: UInt32 in 0..<50 {
            try embedded.receive(ping + ping + ping)
            try embedded.receive(Embedded.request(stream * 2 + 1, "/a.A/Now"))
        }
        _ = try embedded.writes()
        try embedded.receive(ping + ping + ping + ping + ping + ping + ping)
        let last = try #require(try embedded.writes().last)
        #expect(last.suffix(14) == Array("too_many_pings".utf8)[...])
        _ = try? embedded.channel.finish()
    }

    @Test func `a server asks for a sign of life after two hours, and closes when none comes`() throws {
        let embedded = try Embedded(collecting(Calls()))
        embedded.loop.advanceTime(by: .hours(1))
        #expect(try embedded.writes().isEmpty)
        embedded.loop.advanceTime(by: .hours(1))
        let pings = try embedded.writes()
        #expect(pings.count == 1 && pings.first?[3] == RawPeer.ping)
        // An answer keeps it.
        try embedded.receive(RawPeer.bytes(RawPeer.ping, RawPeer.ack, 0, Array(try #require(pings.first)[9...])))
        embedded.loop.advanceTime(by: .minutes(119))
        #expect(embedded.channel.isActive)
        #expect(try embedded.writes().isEmpty)
        embedded.loop.advanceTime(by: .minutes(1))
        #expect(try embedded.writes().count == 1)
        embedded.loop.advanceTime(by: .seconds(21))
        #expect(!embedded.channel.isActive)
        _ = try? embedded.channel.finish()
    }
}
