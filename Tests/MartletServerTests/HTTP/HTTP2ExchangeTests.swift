import HTTP2
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import MartletServer

/// What goes piece by piece, over HTTP/2.
@Suite struct HTTP2ExchangeTests {
    /// Writes for as long as the client takes it, or does what it is told.
    private final class Stream: PlainStreamReceiver {
        enum Kind { case endless, paused }

        private let answer: any PlainStreamAnswer
        private let kind: Kind
        private let told: Mutex<[String]>.Reference

        init(_ answer: any PlainStreamAnswer, _ kind: Kind, _ told: Mutex<[String]>.Reference) {
            self.answer = answer
            self.kind = kind
            self.told = told
            switch kind {
            case .endless:
                answer.begin(status: 200, fields: [])
                onWritable()
            case .paused:
                answer.pauseBody()
                let held = NIOLoopBound(answer, eventLoop: answer.eventLoop)
                answer.eventLoop.scheduleTask(in: .milliseconds(50)) {
                    told.add("resumed")
                    held.value.resumeBody()
                }
            }
        }

        func onBody(_ part: ByteBuffer) { told.add("body \(String(buffer: part))") }

        func onBodyEnd() {
            told.add("end")
            guard kind == .paused else { return }
            answer.begin(status: 200, fields: [])
            answer.end()
        }

        func onWritable() {
            while answer.isWritable { answer.write(ByteBuffer(repeating: 1, count: 100_000)) }
        }

        func onCancel() { told.add("cancelled") }
    }

    /// Runs with a port that serves one stream.
    private func serve(
        _ kind: Stream.Kind, stallTimeout: TimeAmount = .minutes(1),
        _ body: (_ port: Int, _ told: Mutex<[String]>.Reference) async throws -> Void
    ) async throws {
        let told = Mutex<[String]>.Reference()
        var router = PlainRouter()
        router.on(["GET", "POST"], "/stream", stream: { _, answer in Stream(answer, kind, told) })
        let routes = router
        let server = GRPCServer(methods: GRPCMethods()) { request in
            HTTP2Exchange.serve(request, by: routes, stallTimeout: stallTimeout)
        }
        let channel = try await SharedPort(server: server)
            .listen(host: "127.0.0.1", port: 0, on: MultiThreadedEventLoopGroup.singleton).get()
        do {
            try await body(try #require(channel.localAddress?.port), told)
        } catch {
            try? await channel.close()
            throw error
        }
        try await channel.close()
    }

    /// The beginning of a connection, and one request; all of it happens to be ASCII.
    private static func request(_ method: String, body: String = "") -> String {
        func frame(_ type: UInt8, _ flags: UInt8, stream: UInt8, _ payload: [UInt8]) -> [UInt8] {
            [0, UInt8(payload.count >> 8), UInt8(payload.count & 0xff), type, flags, 0, 0, 0, stream] + payload
        }
        // Literal fields, not indexed (RFC 7541 section 6.2.2).
        var block: [UInt8] = []
        for (name, value) in [(":method", method), (":scheme", "http"), (":path", "/stream"), (":authority", "x")] {
            block += [0, UInt8(name.utf8.count)] + Array(name.utf8)
            block += [UInt8(value.utf8.count)] + Array(value.utf8)
        }
        var bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + frame(4, 0, stream: 0, [])
        bytes += frame(1, body.isEmpty ? 5 : 4, stream: 1, block)
        if !body.isEmpty { bytes += frame(0, 1, stream: 1, Array(body.utf8)) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func eventually(_ holds: () -> Bool) async throws -> Bool {
        for _ in 0..<500 where !holds() { try await Task.sleep(for: .milliseconds(10)) }
        return holds()
    }

    @Test func `who takes nothing of what waits for it is let go of`() async throws {
        try await serve(.endless, stallTimeout: .milliseconds(100)) { port, told in
            let client = try RawClient(port: port)
            client.send(Self.request("GET"))
            #expect(try await eventually { told.all == ["end", "cancelled"] })
            withExtendedLifetime(client) {}
        }
        try await serve(.endless) { port, told in
            let client = try RawClient(port: port)
            client.send(Self.request("GET"))
            #expect(try await eventually { told.all == ["end"] })
            try await Task.sleep(for: .milliseconds(300))
            #expect(told.all == ["end"])
            withExtendedLifetime(client) {}
        }
    }

    @Test func `a body waits for whoever is not ready to read it`() async throws {
        try await serve(.paused) { port, told in
            let client = try RawClient(port: port)
            client.send(Self.request("POST", body: "{}"))
            #expect(try await eventually { told.all == ["resumed", "body {}", "end"] })
            withExtendedLifetime(client) {}
        }
    }
}

extension Mutex where Value == [String] {
    /// A list that several threads add to.
    fileprivate final class Reference: Sendable {
        private let list = Mutex<[String]>([])
        func add(_ text: String) { list.withLock { $0.append(text) } }
        var all: [String] { list.withLock { $0 } }
    }
}
