import Glibc
import NIOCore
import PeerTransport
import PeerTransportNIO
import RaftCore
import Synchronization
import Testing

/// Remembers what arrives.
final class TestReceiver: PeerReceiver {
    struct State: Sendable {
        var messages: [Message] = []
        var calls = 0
        var unreachable: [NodeID] = []
        var gone: [NodeID] = []
        var descriptions: [Message] = []
        var makeSink: (@Sendable (Message) -> (any SnapshotSink)?)?
    }
    let state = Mutex(State())

    func received(_ messages: [Message]) {
        state.withLock {
            $0.messages += messages
            $0.calls += 1
        }
    }

    func unreachable(_ node: NodeID) { state.withLock { $0.unreachable.append(node) } }
    func gone(_ node: NodeID) { state.withLock { $0.gone.append(node) } }

    func beginSnapshot(_ description: Message) -> (any SnapshotSink)? {
        let make = state.withLock { state in
            state.descriptions.append(description)
            return state.makeSink
        }
        return make?(description)
    }

    var messages: [Message] { state.withLock { $0.messages } }
    var count: Int { state.withLock { $0.messages.count } }
    var unreachable: [NodeID] { state.withLock { $0.unreachable } }
    var gone: [NodeID] { state.withLock { $0.gone } }

    func messages(from node: UInt64) -> [Message] { messages.filter { $0.from == NodeID(node) } }
}

/// Log lines, for tests that count them.
final class TestLog: Sendable {
    let lines = Mutex<[String]>([])

    var log: PeerTransportLog {
        { level, message, fields in
            let line = "\(level) \(message) \(fields.map { "\($0.0)=\($0.1)" }.joined(separator: " "))"
            self.lines.withLock { $0.append(line) }
        }
    }

    func count(_ text: String) -> Int { lines.withLock { $0.count { $0.contains(text) } } }
}

final class TestMember {
    let id: UInt64
    let options: NIOPeerTransportOptions
    let receiver = TestReceiver()
    let log: TestLog
    let transport: NIOPeerTransport
    let port: Int

    init(_ id: UInt64, port: Int = 0, change: (inout NIOPeerTransportOptions) -> Void = { _ in }) throws {
        self.id = id
        let log = TestLog()
        self.log = log
        var options = NIOPeerTransportOptions(
            node: NodeID(id), cluster: 7, listenAddresses: ["127.0.0.1:\(port)"], seed: id, log: log.log)
        options.timings.longestBackOff = .milliseconds(50)
        options.timings.pingInterval = .milliseconds(20)
        options.timings.readTimeout = .milliseconds(1_500)
        options.timings.handshakeTimeout = .milliseconds(500)
        change(&options)
        self.options = options
        transport = NIOPeerTransport(options, eventLoops: .own(threads: 1))
        try transport.start(receiver: receiver)
        self.port = transport.boundPorts[0]
    }

    var address: PeerAddress { PeerAddress(node: NodeID(id), endpoints: ["127.0.0.1:\(port)"]) }

    func stop() { transport.stop() }

    func statistics(of node: UInt64) -> PeerStatistics? {
        transport.statistics.peers.first { $0.node == NodeID(node) }
    }

    func isConnected(to node: UInt64) -> Bool { statistics(of: node)?.isConnected ?? false }

    func send(_ message: Message) { transport.send([message]) }
}

/// Members that know each other and are connected; stopped at the end.
func withCluster(
    _ count: Int = 3, change: (inout NIOPeerTransportOptions) -> Void = { _ in }, _ body: ([TestMember]) throws -> Void
) throws {
    let members = try (1...count).map { try TestMember(UInt64($0), change: change) }
    defer { for member in members { member.stop() } }
    for member in members { member.transport.setPeers(members.map(\.address)) }
    for member in members {
        for other in members where other.id != member.id {
            try #require(eventually { member.isConnected(to: other.id) })
        }
    }
    try body(members)
}

/// Whether something becomes true before long.
func eventually(_ seconds: Double = 10, _ condition: () -> Bool) -> Bool {
    for _ in 0..<Int(seconds * 500) {
        if condition() { return true }
        usleep(2_000)
    }
    return condition()
}

func heartbeat(from: UInt64, to: UInt64, _ number: UInt64) -> Message {
    Message(
        from: NodeID(from), to: NodeID(to), term: Term(1),
        body: .heartbeat(Heartbeat(commit: LogIndex(number), readSequence: number)))
}

func append(from: UInt64, to: UInt64, first: UInt64, count: Int, bytes: Int) -> Message {
    let entries = (0..<count).map { offset in
        Entry(
            index: LogIndex(first + UInt64(offset)), term: Term(1),
            payload: [UInt8](repeating: UInt8(truncatingIfNeeded: offset), count: bytes))
    }
    return Message(
        from: NodeID(from), to: NodeID(to), term: Term(1),
        body: .appendEntries(
            AppendEntries(
                previousIndex: LogIndex(first - 1), previousTerm: Term(1), commit: .zero, entries: entries)))
}

/// A plain socket that talks to a transport's port.
final class RawConnection {
    let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(result == 0, "connect: \(errno)")
        limitReads()
    }

    init(descriptor: Int32) {
        self.descriptor = descriptor
        limitReads()
    }

    private func limitReads() {
        var timeout = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    func write(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            sent += count
        }
    }

    /// One read; empty at the end of the connection, nil after the timeout.
    func read() -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = bytes.withUnsafeMutableBytes { Glibc.recv(descriptor, $0.baseAddress!, $0.count, 0) }
        if count < 0 { return errno == EAGAIN ? nil : [] }
        return Array(bytes[..<count])
    }

    /// Whether the other side closes, whatever it says before.
    func isClosedByPeer() -> Bool {
        while let bytes = read() { if bytes.isEmpty { return true } }
        return false
    }

    /// Reads frames until there are `count`, past the magic bytes; `bytes` is what has been read already.
    func readFrames(_ count: Int, after bytes: [UInt8] = []) throws -> [PeerFrame] {
        var bytes = bytes
        while true {
            guard let more = read(), !more.isEmpty else { return try frames(in: bytes) }
            bytes += more
            let frames = try frames(in: bytes)
            if frames.count >= count { return frames }
        }
    }

    private func frames(in bytes: [UInt8]) throws -> [PeerFrame] {
        guard bytes.starts(with: PeerFrame.magic) else { return [] }
        var rest = bytes[4...]
        var frames: [PeerFrame] = []
        while let range = try rest.withUnsafeBytes({ bytes throws(PeerWireError) in
            try PeerFrame.firstBody(in: bytes, limit: 1 << 20)
        }) {
            let body = rest.dropFirst(range.lowerBound).prefix(range.count)
            frames.append(try body.withUnsafeBytes { bytes throws(PeerWireError) in try PeerFrame(body: bytes) })
            rest = rest.dropFirst(range.upperBound)
        }
        return frames
    }

    func shake(
        from: UInt64, to: UInt64, cluster: UInt64 = 7, purpose: ConnectionPurpose = .messages,
        versions: ClosedRange<UInt8> = 1...1
    ) throws -> PeerFrame? {
        write(
            PeerFrame.magic
                + PeerFrame.hello(
                    PeerHello(
                        versions: versions, purpose: purpose, features: [], cluster: cluster, from: NodeID(from),
                        to: NodeID(to), directory: DirectoryID(0))
                ).encoded())
        return try readFrames(1).first
    }
}
