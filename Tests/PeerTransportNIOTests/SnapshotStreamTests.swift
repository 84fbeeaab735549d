import ByteCodec
import Glibc
import NIOCore
import PeerTransport
import PeerTransportNIO
import Platform
import RaftCore
import Synchronization
import Testing

struct Broken: Error {}

final class TestSource: SnapshotSource {
    struct State: Sendable {
        var chunks: [[UInt8]]
        var read = 0
        var failsAt: Int?
        var threads: Set<UInt> = []
    }
    let state: Mutex<State>

    init(_ chunks: [[UInt8]], failsAt: Int? = nil) { state = Mutex(State(chunks: chunks, failsAt: failsAt)) }

    func nextChunk() throws -> [UInt8]? {
        try state.withLock { state in
            state.threads.insert(UInt(pthread_self()))
            if state.failsAt == state.read { throw Broken() }
            guard state.read < state.chunks.count else { return nil }
            defer { state.read += 1 }
            return state.chunks[state.read]
        }
    }
}

final class TestSink: SnapshotSink {
    struct State: Sendable {
        var bytes: [UInt8] = []
        var chunks = 0
        var finishes = 0
        var aborts = 0
        var isHeld = false
        var isFinishHeld = false
        var isCheckedAgainst: [UInt8]?
        var failsAt: Int?
        var finishFails = false
        var threads: Set<UInt> = []
    }
    let state = Mutex(State())

    func write(_ chunk: [UInt8]) throws {
        while state.withLock({ $0.isHeld }) { usleep(1_000) }
        try state.withLock { state in
            state.threads.insert(UInt(pthread_self()))
            if state.failsAt == state.chunks { throw Broken() }
            state.bytes += chunk
            state.chunks += 1
        }
    }

    func finish() throws {
        while state.withLock({ $0.isHeld || $0.isFinishHeld }) { usleep(1_000) }
        if state.withLock({ $0.finishFails }) { throw Broken() }
        if state.withLock({ $0.isCheckedAgainst != nil && $0.isCheckedAgainst != $0.bytes }) { throw Broken() }
        state.withLock { $0.finishes += 1 }
    }

    func abort() { state.withLock { $0.aborts += 1 } }

    var ends: [Int] { state.withLock { [$0.finishes, $0.aborts] } }
}

/// What a completion said, and how often.
final class Outcome: Sendable {
    private let results = Mutex<[Bool]>([])
    var completion: @Sendable (Bool) -> Void { { result in self.results.withLock { $0.append(result) } } }
    var all: [Bool] { results.withLock { $0 } }
}

extension TransportTests {
    @Suite struct `Snapshot streams` {
        func description(from: UInt64 = 1, to: UInt64 = 2) -> Message {
            Message(
                from: NodeID(from), to: NodeID(to), term: Term(3),
                body: .installSnapshot(
                    SnapshotDescription(
                        index: LogIndex(100), term: Term(2),
                        configuration: Configuration(voters: [NodeID(1), NodeID(2)]))))
        }

        func chunks(_ count: Int, of bytes: Int) -> [[UInt8]] {
            var random = RandomSource(seed: 1)
            return (0..<count).map { _ in
                let byte = UInt8(truncatingIfNeeded: random.next())
                return [UInt8](repeating: byte, count: bytes)
            }
        }

        @Test func `a snapshot arrives whole, and only then is it said to have`() throws {
            try withCluster(2) { members in
                let sink = TestSink()
                members[1].receiver.state.withLock { $0.makeSink = { _ in sink } }
                let chunks = chunks(40, of: 20_000)
                let source = TestSource(chunks)
                let outcome = Outcome()
                members[0].transport.sendSnapshot(description(), from: source, completion: outcome.completion)
                #expect(eventually { outcome.all == [true] })
                #expect(sink.state.withLock { $0.bytes } == Array(chunks.joined()))
                #expect(sink.ends == [1, 0])
                #expect(members[1].receiver.state.withLock { $0.descriptions } == [description()])
                #expect(
                    source.state.withLock { $0.threads.count } == 1 && sink.state.withLock { $0.threads.count } == 1)
                #expect(members[0].statistics(of: 2)?.snapshotsSent == 1)
                #expect(members[1].statistics(of: 1)?.snapshotsReceived == 1)
                #expect(eventually { members[1].transport.statistics.incomingSnapshots == 0 })
                // The connection for messages was not touched.
                #expect(members[0].statistics(of: 2)?.connections == 1)
            }
        }

        @Test func `empty snapshots, empty chunks and chunks that are too large pass`() throws {
            try withCluster(2, change: { $0.wire.chunkBytes = 1_000 }) { members in
                for chunks in [[], [[]], [[1], [], [2]], [[UInt8](repeating: 9, count: 25_500), [1]]] {
                    let sink = TestSink()
                    members[1].receiver.state.withLock { $0.makeSink = { _ in sink } }
                    let outcome = Outcome()
                    members[0].transport.sendSnapshot(
                        description(), from: TestSource(chunks), completion: outcome.completion)
                    #expect(eventually { outcome.all == [true] })
                    #expect(sink.state.withLock { $0.bytes } == Array(chunks.joined()) && sink.ends == [1, 0])
                }
            }
        }

        @Test func `a slow sink holds up the source`() throws {
            try withCluster(2, change: { $0.limits.snapshotWindow = 4 }) { members in
                let sink = TestSink()
                sink.state.withLock { $0.isHeld = true }
                members[1].receiver.state.withLock { $0.makeSink = { _ in sink } }
                let source = TestSource(chunks(50, of: 10_000))
                let outcome = Outcome()
                members[0].transport.sendSnapshot(description(), from: source, completion: outcome.completion)
                #expect(eventually { source.state.withLock { $0.read } >= 4 })
                usleep(200_000)
                #expect(source.state.withLock { $0.read } <= 5, "a window, and one read ahead")
                // Much longer than the read timeout: pings keep the connection.
                usleep(1_700_000)
                #expect(outcome.all == [])
                sink.state.withLock { $0.isHeld = false }
                #expect(eventually { outcome.all == [true] })
                #expect(sink.state.withLock { $0.chunks } == 50)
            }
        }

        @Test func `a receiver that stops writing is given up`() throws {
            try withCluster(2, change: { $0.timings.snapshotStallTimeout = .milliseconds(200) }) { members in
                let sink = TestSink()
                sink.state.withLock { $0.isHeld = true }
                members[1].receiver.state.withLock { $0.makeSink = { _ in sink } }
                let outcome = Outcome()
                members[0].transport.sendSnapshot(
                    description(), from: TestSource(chunks(50, of: 10)), completion: outcome.completion)
                #expect(eventually { outcome.all == [false] })
                sink.state.withLock { $0.isHeld = false }
                #expect(eventually { sink.ends == [0, 1] })
            }
        }

        @Test func `a receiver that does not want it says so`() throws {
            try withCluster(2) { members in
                let outcome = Outcome()
                members[0].transport.sendSnapshot(
                    description(), from: TestSource(chunks(3, of: 10)), completion: outcome.completion)
                #expect(eventually { outcome.all == [false] })
                #expect(members[0].log.count("not wanted") == 1)
                #expect(members[0].statistics(of: 2)?.snapshotsFailed == 1)
            }
        }

        @Test func `a sink that fails ends the stream, and is aborted`() throws {
            try withCluster(2) { members in
                for failsInFinish in [false, true] {
                    let sink = TestSink()
                    sink.state.withLock { state in
                        state.failsAt = failsInFinish ? nil : 5
                        state.finishFails = failsInFinish
                    }
                    members[1].receiver.state.withLock { $0.makeSink = { _ in sink } }
                    let outcome = Outcome()
                    members[0].transport.sendSnapshot(
                        description(), from: TestSource(chunks(30, of: 1_000)), completion: outcome.completion)
                    #expect(eventually { outcome.all == [false] })
                    #expect(eventually { sink.ends == [0, 1] })
                }
                #expect(eventually { members[1].transport.statistics.incomingSnapshots == 0 })
                #expect(eventually { members[0].transport.statistics.outgoingSnapshots == 0 })
            }
        }

        @Test func `a source that fails ends the stream, and the sink is aborted`() throws {
            try withCluster(2) { members in
                let sink = TestSink()
                members[1].receiver.state.withLock { $0.makeSink = { _ in sink } }
                let outcome = Outcome()
                members[0].transport.sendSnapshot(
                    description(), from: TestSource(chunks(30, of: 1_000), failsAt: 7), completion: outcome.completion)
                #expect(eventually { outcome.all == [false] })
                #expect(eventually { sink.ends == [0, 1] })
            }
        }

        @Test func `a stream that is cut half way is aborted`() throws {
            let two = try TestMember(2)
            defer { two.stop() }
            let one = try TestMember(1) { $0.limits.snapshotBytesPerSecond = 100_000 }
            two.transport.setPeers([one.address])
            one.transport.setPeers([two.address])
            let sink = TestSink()
            two.receiver.state.withLock { $0.makeSink = { _ in sink } }
            let outcome = Outcome()
            one.transport.sendSnapshot(
                description(), from: TestSource(chunks(100, of: 10_000)), completion: outcome.completion)
            #expect(eventually { sink.state.withLock { $0.chunks } > 2 })
            one.stop()
            #expect(outcome.all == [false], "told before stop returns")
            #expect(eventually { sink.ends == [0, 1] })
            #expect(sink.state.withLock { $0.chunks } < 90)
        }

        @Test func `stopping the receiver aborts the sink before it returns`() throws {
            let one = try TestMember(1) {
                $0.limits.snapshotBytesPerSecond = 100_000
                $0.timings.snapshotResumeTimeout = .milliseconds(300)
            }
            defer { one.stop() }
            let two = try TestMember(2)
            two.transport.setPeers([one.address])
            one.transport.setPeers([two.address])
            let sink = TestSink()
            two.receiver.state.withLock { $0.makeSink = { _ in sink } }
            let outcome = Outcome()
            one.transport.sendSnapshot(
                description(), from: TestSource(chunks(100, of: 10_000)), completion: outcome.completion)
            #expect(eventually { sink.state.withLock { $0.chunks } > 2 })
            two.stop()
            #expect(sink.ends == [0, 1])
            #expect(eventually { outcome.all == [false] })
        }

        @Test func `a rate limit is kept`() throws {
            try withCluster(2, change: { $0.limits.snapshotBytesPerSecond = 1_000_000 }) { members in
                let sink = TestSink()
                members[1].receiver.state.withLock { $0.makeSink = { _ in sink } }
                let outcome = Outcome()
                let start = NIODeadline.now()
                members[0].transport.sendSnapshot(
                    description(), from: TestSource(chunks(40, of: 10_000)), completion: outcome.completion)
                #expect(eventually { outcome.all == [true] })
                #expect(NIODeadline.now() - start > .milliseconds(350))
            }
        }

        @Test func `no more streams than allowed run at once`() throws {
            try withCluster(2, change: { $0.limits.outgoingSnapshots = 2 }) { members in
                let sinks = [TestSink(), TestSink(), TestSink()]
                for sink in sinks { sink.state.withLock { $0.isHeld = true } }
                let counter = Counter()
                members[1].receiver.state.withLock { $0.makeSink = { _ in sinks[counter.next()] } }
                let outcomes = [Outcome(), Outcome(), Outcome()]
                for outcome in outcomes {
                    members[0].transport.sendSnapshot(
                        description(), from: TestSource(chunks(3, of: 10)), completion: outcome.completion)
                }
                #expect(outcomes[2].all == [false])
                #expect(eventually { members[1].receiver.state.withLock { $0.descriptions.count } == 2 })
                for sink in sinks { sink.state.withLock { $0.isHeld = false } }
                #expect(eventually { outcomes[0].all == [true] && outcomes[1].all == [true] })
                #expect(eventually { members[0].transport.statistics.outgoingSnapshots == 0 })
            }
        }

        final class Counter: Sendable {
            private let value = Mutex(0)
            func next() -> Int {
                value.withLock { value in
                    defer { value += 1 }
                    return value
                }
            }
        }

        @Test func `a receiver that is busy refuses`() throws {
            try withCluster(2, change: { $0.limits.incomingSnapshots = 0 }) { members in
                let outcome = Outcome()
                members[0].transport.sendSnapshot(
                    description(), from: TestSource(chunks(3, of: 10)), completion: outcome.completion)
                #expect(eventually { outcome.all == [false] })
                #expect(members[0].log.count("busy") == 1)
            }
        }

        @Test func `a snapshot for nobody, or with no transport, fails at once`() throws {
            let one = try TestMember(1)
            let outcomes = [Outcome(), Outcome(), Outcome()]
            one.transport.sendSnapshot(description(to: 9), from: TestSource([]), completion: outcomes[0].completion)
            one.transport.setPeers([PeerAddress(node: NodeID(2), endpoints: ["127.0.0.1:1", "127.0.0.1:2"])])
            one.transport.sendSnapshot(description(), from: TestSource([]), completion: outcomes[1].completion)
            #expect(eventually { outcomes[1].all == [false] })
            one.stop()
            one.transport.sendSnapshot(description(), from: TestSource([]), completion: outcomes[2].completion)
            #expect(outcomes.map(\.all) == [[false], [false], [false]])
        }

        /// Speaks the protocol by hand up to the first chunk.
        func handMade(_ member: TestMember, sink: TestSink) throws -> RawConnection {
            member.receiver.state.withLock { $0.makeSink = { _ in sink } }
            let raw = try RawConnection(port: member.port)
            raw.write(
                PeerFrame.magic
                    + PeerFrame.hello(
                        PeerHello(
                            versions: 1...1, purpose: .snapshot, features: [], cluster: 7, from: NodeID(2),
                            to: NodeID(1), directory: DirectoryID(0))
                    ).encoded() + PeerFrame.snapshotBegin(description(from: 2, to: 1)).encoded())
            let frames = try raw.readFrames(2)
            #expect(frames.map(\.kind) == [.welcome, .snapshotReady])
            return raw
        }

        @Test func `corrupt, repeated, missing and surplus chunks and wrong totals abort the sink`() throws {
            let one = try TestMember(1) { options in
                options.limits.snapshotWindow = 3
                // So that nothing is closed for its silence.
                options.timings.readTimeout = .seconds(60)
            }
            defer { one.stop() }
            one.transport.setPeers([PeerAddress(node: NodeID(2), endpoints: [])])
            var corrupt = PeerFrame.snapshotChunk(index: 1, [4, 5, 6]).encoded()
            corrupt[18] ^= 0x10
            var totals = SnapshotTotals()
            totals.add([1, 2, 3])
            var wrongSum = totals
            wrongSum.checksum ^= 1
            var wrongCount = totals
            wrongCount.chunks += 1
            let first = PeerFrame.snapshotChunk(index: 0, [1, 2, 3]).encoded()
            let cases: [(String, [UInt8])] = [
                ("corrupt", corrupt),
                ("repeated", first),
                ("missing", PeerFrame.snapshotChunk(index: 2, [1]).encoded()),
                ("wrong sum", PeerFrame.snapshotEnd(wrongSum).encoded()),
                ("wrong count", PeerFrame.snapshotEnd(wrongCount).encoded()),
                ("messages", PeerFrame.messages([heartbeat(from: 2, to: 1, 1)]).encoded()),
                ("too large", PeerFrame.snapshotChunk(index: 1, [UInt8](repeating: 1, count: 1 << 20 + 1)).encoded()),
            ]
            for (name, bytes) in cases {
                let sink = TestSink()
                let raw = try handMade(one, sink: sink)
                raw.write(first + bytes)
                #expect(raw.isClosedByPeer(), "\(name)")
                #expect(eventually { sink.ends == [0, 1] }, "\(name)")
            }
            // More than the window allows, while the sink does not write.
            let sink = TestSink()
            sink.state.withLock { $0.isHeld = true }
            let raw = try handMade(one, sink: sink)
            for index in 0..<4 { raw.write(PeerFrame.snapshotChunk(index: UInt64(index), [1]).encoded()) }
            #expect(raw.isClosedByPeer())
            sink.state.withLock { $0.isHeld = false }
            #expect(eventually { sink.ends == [0, 1] })
            // And one that is right, by the same hand.
            let right = TestSink()
            let last = try handMade(one, sink: right)
            last.write(first + PeerFrame.snapshotEnd(totals).encoded())
            #expect(eventually { right.ends == [1, 0] })
            #expect(eventually { one.transport.statistics.incomingSnapshots <= 1 })
        }
    }
}
