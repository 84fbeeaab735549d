import Glibc
import NIOCore
import PeerTransport
import PeerTransportNIO
import RaftCore
import Synchronization
import Testing

/// Answers each whole head with what came, and keeps what it saw.
private final class EchoHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let seen: Seen
    private var bytes: [UInt8] = []

    init(_ seen: Seen) { self.seen = seen }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes += unwrapInboundIn(data).readableBytesView
        seen.state.withLock { $0.text = String(decoding: bytes, as: UTF8.self) }
        guard bytes.suffix(4) == Array("\r\n\r\n".utf8)[...] else { return }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "saw \(bytes.count) bytes")), promise: nil)
        bytes = []
    }

    func channelInactive(context: ChannelHandlerContext) {
        seen.state.withLock { $0.closed += 1 }
        context.fireChannelInactive()
    }
}

private final class Seen: Sendable {
    let state = Mutex((text: "", closed: 0))
    var text: String { state.withLock { $0.text } }
    var closed: Int { state.withLock { $0.closed } }
}

extension TransportTests {
    @Suite struct `HTTP on the members' port` {
        private func member(
            _ seen: Seen, change: (inout NIOPeerTransportOptions) -> Void = { _ in }
        ) throws -> TestMember {
            try TestMember(1) { options in
                options.configureHTTP = { channel in
                    try channel.pipeline.syncOperations.addHandler(EchoHandler(seen))
                }
                change(&options)
            }
        }

        @Test func `what begins with GET goes to the handlers for HTTP, all of it, however it comes`() throws {
            let seen = Seen()
            let one = try member(seen)
            defer { one.stop() }
            let request = "GET /members HTTP/1.1\r\nHost: a\r\n\r\n"
            let whole = try RawConnection(port: one.port)
            whole.write(Array(request.utf8))
            #expect(whole.read().map { String(decoding: $0, as: UTF8.self) } == "saw \(request.utf8.count) bytes")
            let slow = try RawConnection(port: one.port)
            for byte in request.utf8 {
                slow.write([byte])
                usleep(500)
            }
            #expect(slow.read().map { String(decoding: $0, as: UTF8.self) } == "saw \(request.utf8.count) bytes")
            #expect(seen.text == request)
            // Members are served on the same port meanwhile.
            let two = try TestMember(2)
            defer { two.stop() }
            one.transport.setPeers([two.address])
            two.transport.setPeers([one.address])
            #expect(eventually { two.isConnected(to: 1) && one.isConnected(to: 2) })
        }

        @Test func `who asks slowly or never ends is cut off with the handshake's time`() throws {
            let seen = Seen()
            let one = try member(seen)
            defer { one.stop() }
            let start = ContinuousClock.now
            let raw = try RawConnection(port: one.port)
            raw.write(Array("GET /".utf8))
            let drip = try RawConnection(port: one.port)
            drip.write(Array("GET /".utf8))
            for _ in 0..<200 {
                drip.write(Array("x".utf8))
                usleep(5_000)
            }
            #expect(raw.isClosedByPeer() && drip.isClosedByPeer())
            #expect(ContinuousClock.now - start < .seconds(4), "the handshake's time is 0.5 s here")
            #expect(eventually { seen.closed == 2 }, "the handlers hear of it")
            #expect(eventually { one.transport.statistics.acceptedConnections == 0 })
        }

        @Test func `who sends too much is cut off`() throws {
            let seen = Seen()
            let one = try member(seen) { $0.limits.httpRequestBytes = 1_000 }
            defer { one.stop() }
            let raw = try RawConnection(port: one.port)
            raw.write(Array("GET /\(String(repeating: "x", count: 5_000))".utf8))
            #expect(raw.isClosedByPeer())
            #expect(seen.text.utf8.count <= 1_000)
            #expect(eventually { one.transport.statistics.malformedConnections == 1 })
        }

        @Test func `they count as accepted connections, and end with the transport`() throws {
            let seen = Seen()
            let one = try member(seen) {
                $0.limits.acceptedConnections = 2
                $0.timings.handshakeTimeout = .seconds(60)
            }
            let open = try (0..<2).map { _ in try RawConnection(port: one.port) }
            for raw in open { raw.write(Array("GET /".utf8)) }
            #expect(eventually { one.transport.statistics.acceptedConnections == 2 })
            let third = try RawConnection(port: one.port)
            #expect(third.isClosedByPeer())
            one.stop()
            for raw in open { #expect(raw.isClosedByPeer()) }
        }

        @Test(arguments: ["POST / HTTP/1.1\r\n", "get /members", "GETX", "\u{0}\u{0}\u{0}\u{0}", "MRTX"])
        func `anything else is no member and no GET`(text: String) throws {
            let seen = Seen()
            let one = try member(seen)
            defer { one.stop() }
            let raw = try RawConnection(port: one.port)
            raw.write(Array(text.utf8))
            #expect(raw.isClosedByPeer())
            #expect(seen.text.isEmpty)
        }

        @Test func `without handlers for it a GET is closed at once`() throws {
            let one = try TestMember(1)
            defer { one.stop() }
            let raw = try RawConnection(port: one.port)
            raw.write(Array("G".utf8))
            #expect(raw.isClosedByPeer())
        }
    }

    @Suite struct `Removed members` {
        private final class Count: Sendable {
            private let value = Mutex<[NodeID]>([])
            func add(_ node: NodeID) { value.withLock { $0.append(node) } }
            var all: [NodeID] { value.withLock { $0 } }
        }

        @Test func `who was removed is told so by whoever it dials, in place of being unknown`() throws {
            let told = Count()
            let one = try TestMember(1) { $0.isRemoved = { $0 == NodeID(2) } }
            defer { one.stop() }
            let two = try TestMember(2) { $0.removed = { told.add($0) } }
            defer { two.stop() }
            two.transport.setPeers([one.address])
            #expect(eventually { !told.all.isEmpty })
            #expect(told.all.allSatisfy { $0 == NodeID(1) })
            #expect(one.log.count("a removed member") == 1, "logged once")
            // While it is known still, so that it may hear the news, it gets in.
            one.transport.setPeers([two.address])
            #expect(eventually { two.isConnected(to: 1) })
        }

        @Test func `since when a member is connected is known, and forgotten with the connection`() throws {
            try withCluster(2) { members in
                let since = try #require(members[0].statistics(of: 2)?.connectedSince)
                #expect(since <= NIODeadline.now().uptimeNanoseconds)
                members[1].stop()
                #expect(eventually { members[0].statistics(of: 2)?.connectedSince == nil })
            }
        }
    }
}
