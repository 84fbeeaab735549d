import ByteCodec
import Glibc
import NIOCore
import PeerTransport
import PeerTransportNIO
import Platform
import RaftCore
import Synchronization
import Testing

extension TransportTests {
    @Suite struct `Snapshot streams whose connections break` {
        func description(from: UInt64 = 1, to: UInt64 = 2, term: UInt64 = 3, index: UInt64 = 100) -> Message {
            Message(
                from: NodeID(from), to: NodeID(to), term: Term(term),
                body: .installSnapshot(
                    SnapshotDescription(
                        index: LogIndex(index), term: Term(2),
                        configuration: Configuration(voters: [NodeID(1), NodeID(2)]))))
        }

        /// Every chunk is another.
        func chunks(_ count: Int, of bytes: Int) -> [[UInt8]] {
            var random = RandomSource(seed: 1)
            return (0..<count).map { _ in
                let word = random.next()
                return (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) }
                    + [UInt8](repeating: UInt8(truncatingIfNeeded: word), count: bytes - 8)
            }
        }

        func joined(_ chunks: [[UInt8]]) -> [UInt8] { chunks.reduce(into: []) { $0 += $1 } }

        /// Member 1 reaches member 2 through a proxy.
        func withProxy(
            cuts: [Int] = [], _ kind: CuttingProxy.Cut = .both,
            change: (inout NIOPeerTransportOptions) -> Void = { _ in },
            _ body: (_ one: TestMember, _ two: TestMember, CuttingProxy) throws -> Void
        ) throws {
            let two = try TestMember(2, change: change)
            defer { two.stop() }
            let one = try TestMember(1, change: change)
            defer { one.stop() }
            let proxy = try CuttingProxy(to: two.port, cuts: cuts, kind)
            defer { proxy.stop() }
            two.transport.setPeers([one.address])
            one.transport.setPeers([PeerAddress(node: NodeID(2), endpoints: ["127.0.0.1:\(proxy.port)"])])
            try body(one, two, proxy)
        }

        @Test(arguments: [CuttingProxy.Cut.both, .diallerOnly])
        func `a snapshot that is cut three times arrives whole, and little of it is sent twice`(
            _ kind: CuttingProxy.Cut
        ) throws {
            // Where it has to be noticed first, less will do.
            let (count, cuts) =
                kind == .both ? (160, [4_000_000, 9_000_001, 15_123_456]) : (40, [1_000_000, 2_345_678, 4_000_000])
            try withProxy(cuts: cuts, kind) { one, two, proxy in
                let sink = TestSink()
                two.receiver.state.withLock { $0.makeSink = { _ in sink } }
                let chunks = chunks(count, of: 131_072)
                let source = TestSource(chunks)
                let outcome = Outcome()
                one.transport.sendSnapshot(description(), from: source, completion: outcome.completion)
                #expect(eventually(30) { outcome.all == [true] })
                #expect(sink.state.withLock { $0.bytes == joined(chunks) })
                #expect(sink.ends == [1, 0])
                #expect(
                    source.state.withLock { $0.threads.count } == 1 && sink.state.withLock { $0.threads.count } == 1)
                let bytes = count * 131_072
                #expect(proxy.passedBytes > bytes)
                // Of what goes to an acceptor that is not told, a window is lost each time.
                #expect(proxy.passedBytes < (kind == .both ? bytes * 3 / 2 : bytes + 4 * 8 * 131_072))
                #expect(one.statistics(of: 2)?.snapshotsResumed == 3 && two.statistics(of: 1)?.snapshotsResumed == 3)
                #expect(one.statistics(of: 2)?.snapshotsSent == 1 && one.statistics(of: 2)?.snapshotsFailed == 0)
                #expect(two.statistics(of: 1)?.snapshotsReceived == 1)
                #expect(two.statistics(of: 1)?.snapshotsReceivedInPart == 0)
                #expect(one.log.count("trying to go on") == 3)
                if kind == .diallerOnly {
                    // The older connections were found out by the newer ones, and not waited for.
                    #expect(two.log.count("has another connection here") >= 3)
                }
                #expect(eventually { two.transport.statistics.incomingSnapshots == 0 })
                #expect(eventually { one.transport.statistics.outgoingSnapshots == 0 })
            }
        }

        @Test func `a sender that missed the word that all is stored asks for it`() throws {
            try withProxy { one, two, proxy in
                let sink = TestSink()
                sink.state.withLock { $0.isFinishHeld = true }
                two.receiver.state.withLock { $0.makeSink = { _ in sink } }
                let outcome = Outcome()
                one.transport.sendSnapshot(
                    description(), from: TestSource(chunks(5, of: 1_000)), completion: outcome.completion)
                #expect(eventually { sink.state.withLock { $0.chunks } == 5 })
                usleep(100_000)
                proxy.cutNow()
                // While it is being made durable, nobody can say how it ends.
                #expect(eventually { proxy.connections >= 3 })
                #expect(outcome.all == [])
                sink.state.withLock { $0.isFinishHeld = false }
                #expect(eventually { outcome.all == [true] })
                #expect(sink.ends == [1, 0])
                #expect(two.statistics(of: 1)?.snapshotsReceived == 1)
            }
        }

        @Test func `the last chunks and the end are sent again when they were lost`() throws {
            try withProxy { one, two, proxy in
                let sink = TestSink()
                sink.state.withLock { $0.isHeld = true }
                two.receiver.state.withLock { $0.makeSink = { _ in sink } }
                let chunks = chunks(5, of: 1_000)
                let outcome = Outcome()
                one.transport.sendSnapshot(description(), from: TestSource(chunks), completion: outcome.completion)
                #expect(eventually { proxy.passedBytes > 1_000 })
                proxy.cutNow()
                usleep(100_000)
                sink.state.withLock { $0.isHeld = false }
                #expect(eventually { outcome.all == [true] })
                #expect(sink.state.withLock { $0.bytes } == joined(chunks))
            }
        }

        @Test func `a receiver that was restarted says so, and gets one from zero`() throws {
            var two = try TestMember(2)
            defer { two.stop() }
            let one = try TestMember(1) { $0.limits.snapshotBytesPerSecond = 2_000_000 }
            defer { one.stop() }
            one.transport.setPeers([two.address])
            two.transport.setPeers([one.address])
            let first = TestSink()
            two.receiver.state.withLock { $0.makeSink = { _ in first } }
            let chunks = chunks(50, of: 20_000)
            let outcomes = [Outcome(), Outcome()]
            one.transport.sendSnapshot(description(), from: TestSource(chunks), completion: outcomes[0].completion)
            #expect(eventually { first.state.withLock { $0.chunks } > 10 })
            let port = two.port
            two.stop()
            #expect(first.ends == [0, 1])
            two = try TestMember(2, port: port)
            let second = TestSink()
            two.receiver.state.withLock { $0.makeSink = { _ in second } }
            two.transport.setPeers([one.address])
            #expect(eventually { outcomes[0].all == [false] })
            #expect(one.log.count("an unknown stream") == 1)
            #expect(second.state.withLock { $0.chunks } == 0)
            one.transport.sendSnapshot(description(), from: TestSource(chunks), completion: outcomes[1].completion)
            #expect(eventually { outcomes[1].all == [true] })
            #expect(second.state.withLock { $0.bytes } == joined(chunks) && second.ends == [1, 0])
        }

        @Test func `damage to what was kept is found at the end, and a fresh one arrives`() throws {
            try withProxy(cuts: [500_000]) { one, two, proxy in
                let chunks = chunks(50, of: 20_000)
                let sinks = [TestSink(), TestSink()]
                let all = joined(chunks)
                for sink in sinks { sink.state.withLock { $0.isCheckedAgainst = all } }
                let made = Mutex(0)
                two.receiver.state.withLock { state in
                    state.makeSink = { _ in
                        made.withLock { made in
                            defer { made += 1 }
                            return sinks[made]
                        }
                    }
                }
                let outcomes = [Outcome(), Outcome()]
                proxy.refuse(false)
                one.transport.sendSnapshot(description(), from: TestSource(chunks), completion: outcomes[0].completion)
                #expect(eventually { sinks[0].state.withLock { $0.chunks } > 5 })
                sinks[0].state.withLock { $0.bytes[7] ^= 1 }
                #expect(eventually { outcomes[0].all == [false] })
                #expect(one.statistics(of: 2)?.snapshotsResumed == 1)
                #expect(eventually { sinks[0].ends == [0, 1] })
                one.transport.sendSnapshot(description(), from: TestSource(chunks), completion: outcomes[1].completion)
                #expect(eventually { outcomes[1].all == [true] })
                #expect(sinks[1].state.withLock { $0.bytes } == all && sinks[1].ends == [1, 0])
            }
        }

        @Test(arguments: [1, 2])
        func `with a member that cannot resume, a broken stream is given up at once`(_ older: UInt64) throws {
            try withProxy(
                cuts: [500_000],
                change: {
                    if $0.node == NodeID(older) { $0.features = [.forwardAnswers] }
                }
            ) { one, two, proxy in
                let sink = TestSink()
                two.receiver.state.withLock { $0.makeSink = { _ in sink } }
                let chunks = chunks(50, of: 20_000)
                let outcomes = [Outcome(), Outcome()]
                one.transport.sendSnapshot(description(), from: TestSource(chunks), completion: outcomes[0].completion)
                #expect(eventually { outcomes[0].all == [false] })
                #expect(eventually { sink.ends == [0, 1] })
                #expect(proxy.connections == 1)
                let whole = TestSink()
                two.receiver.state.withLock { $0.makeSink = { _ in whole } }
                one.transport.sendSnapshot(description(), from: TestSource(chunks), completion: outcomes[1].completion)
                #expect(eventually { outcomes[1].all == [true] })
                #expect(whole.state.withLock { $0.bytes } == joined(chunks))
            }
        }

        @Test func `neither end waits for ever`() throws {
            try withProxy(
                cuts: [500_000],
                change: {
                    $0.timings.snapshotResumeTimeout = .milliseconds(400)
                    $0.timings.snapshotKeptTime = .milliseconds(600)
                }
            ) { one, two, proxy in
                let sink = TestSink()
                two.receiver.state.withLock { $0.makeSink = { _ in sink } }
                let outcome = Outcome()
                one.transport.sendSnapshot(
                    description(), from: TestSource(chunks(50, of: 20_000)), completion: outcome.completion)
                #expect(eventually { proxy.connections == 1 })
                proxy.refuse(true)
                #expect(eventually { two.log.count("what has come is kept") == 1 })
                #expect(two.transport.statistics.incomingSnapshots == 0, "what is kept is not in anybody's way")
                #expect(outcome.all == [] && sink.ends == [0, 0])
                #expect(eventually { outcome.all == [false] })
                #expect(proxy.connections >= 4)
                #expect(eventually { sink.ends == [0, 1] })
                #expect(two.log.count("its sender has not come back") == 1)
                #expect(two.statistics(of: 1)?.snapshotsReceivedInPart == 1)
            }
        }

        @Test func `stopping ends what is kept, and what waits to go on`() throws {
            try withProxy(cuts: [500_000]) { one, two, proxy in
                let sink = TestSink()
                two.receiver.state.withLock { $0.makeSink = { _ in sink } }
                let outcome = Outcome()
                one.transport.sendSnapshot(
                    description(), from: TestSource(chunks(50, of: 20_000)), completion: outcome.completion)
                #expect(eventually { proxy.connections == 1 })
                proxy.refuse(true)
                #expect(eventually { two.log.count("what has come is kept") == 1 })
                one.stop()
                #expect(outcome.all == [false])
                #expect(sink.ends == [0, 0])
                two.stop()
                #expect(sink.ends == [0, 1])
            }
        }

        @Test func `a removed member's snapshot is not kept, and a new one to a member supersedes the old`() throws {
            try withProxy(cuts: [500_000]) { one, two, proxy in
                let sinks = [TestSink(), TestSink()]
                two.receiver.state.withLock { $0.makeSink = { [sink = sinks[0]] _ in sink } }
                let outcomes = [Outcome(), Outcome()]
                one.transport.sendSnapshot(
                    description(), from: TestSource(chunks(50, of: 20_000)), completion: outcomes[0].completion)
                #expect(eventually { proxy.connections == 1 })
                proxy.refuse(true)
                #expect(eventually { two.log.count("what has come is kept") == 1 })
                #expect(eventually { proxy.connections > 3 })
                one.transport.sendSnapshot(
                    description(to: 2, index: 200), from: TestSource([]), completion: outcomes[1].completion)
                #expect(eventually { outcomes[0].all == [false] })
                #expect(one.log.count("another snapshot takes its place") == 1)
                #expect(sinks[0].ends == [0, 0])
                two.transport.setPeers([])
                #expect(eventually { sinks[0].ends == [0, 1] })
            }
        }

        // MARK: By hand

        /// Speaks the protocol up to the opening; what comes after the welcome.
        func open(
            _ member: TestMember, _ opening: SnapshotOpening, features: PeerFeatures = [.resumableSnapshots],
            then bytes: [UInt8] = []
        ) throws -> (RawConnection, [PeerFrame]) {
            let raw = try RawConnection(port: member.port)
            raw.write(
                PeerFrame.magic
                    + PeerFrame.hello(
                        PeerHello(
                            versions: 1...1, purpose: .snapshot, features: features, cluster: 7,
                            from: opening.message.from, to: NodeID(1), directory: DirectoryID(0))
                    ).encoded() + PeerFrame.snapshotOpen(opening).encoded())
            var frames = Array(try raw.readFrames(2).dropFirst())
            if !bytes.isEmpty {
                raw.write(bytes)
                frames += try raw.readFrames(1, after: PeerFrame.magic)
            }
            return (raw, frames)
        }

        func receiver(_ change: (inout NIOPeerTransportOptions) -> Void = { _ in }) throws -> TestMember {
            let one = try TestMember(1) { options in
                // So that nothing is closed for its silence.
                options.timings.readTimeout = .seconds(60)
                change(&options)
            }
            one.transport.setPeers([2, 3].map { PeerAddress(node: NodeID($0), endpoints: []) })
            return one
        }

        func refusal(_ frames: [PeerFrame]) -> RefusalCode? {
            if case .refusal(let refusal)? = frames.last { refusal.code } else { nil }
        }

        @Test func `streams that are not what was kept are refused`() throws {
            let one = try receiver()
            defer { one.stop() }
            let sink = TestSink()
            one.receiver.state.withLock { $0.makeSink = { _ in sink } }
            let message = description(from: 2, to: 1)
            let opening = SnapshotOpening(stream: 77, firstChunk: 0, message: message)
            let chunk = PeerFrame.snapshotChunk(index: 0, [1, 2, 3]).encoded()
            var totals = SnapshotTotals()
            totals.add([1, 2, 3])

            // Nothing is kept yet.
            var later = opening
            later.firstChunk = 1
            #expect(refusal(try open(one, later).1) == .unknownStream)
            // A first connection that goes away.
            do {
                let (raw, frames) = try open(one, opening, then: chunk)
                #expect(
                    frames == [
                        .snapshotReadyAfter(window: 8, chunkBytes: 1 << 20, SnapshotTotals()),
                        .snapshotAcknowledged(1),
                    ])
                _ = raw
            }
            #expect(eventually { one.log.count("what has come is kept") == 1 })
            // Another number, another snapshot, another sender, and an offset beyond what is kept.
            var other = opening
            (other.stream, other.firstChunk) = (78, 1)
            #expect(refusal(try open(one, other).1) == .unknownStream)
            other = opening
            other.message = description(from: 2, to: 1, index: 101)
            #expect(refusal(try open(one, other).1) == .unknownStream)
            (other.message, other.firstChunk) = (description(from: 3, to: 1), 1)
            #expect(refusal(try open(one, other).1) == .unknownStream)
            other = opening
            other.firstChunk = 2
            #expect(refusal(try open(one, other).1) == .unknownStream)
            #expect(one.log.count("refused a connection from a peer") == 5)
            #expect(sink.ends == [0, 0])
            // Going on is still possible; a chunk that was written already, or one too far, is refused.
            for index: UInt64 in [0, 2] {
                // The connection before is gone for the receiver too.
                #expect(eventually { one.log.count("what has come is kept") == (index == 0 ? 1 : 2) })
                let (raw, frames) = try open(one, opening)
                #expect(frames == [.snapshotReadyAfter(window: 8, chunkBytes: 1 << 20, totals)])
                if index == 0 {
                    raw.write(PeerFrame.snapshotChunk(index: 1, [4]).encoded())
                    totals.add([4])
                    #expect(try raw.readFrames(1, after: PeerFrame.magic) == [.snapshotAcknowledged(2)])
                } else {
                    raw.write(PeerFrame.snapshotChunk(index: 1, [5]).encoded())
                    #expect(raw.isClosedByPeer())
                }
            }
            #expect(eventually { sink.ends == [0, 1] })
            #expect(sink.state.withLock { $0.bytes } == [1, 2, 3, 4])
            #expect(refusal(try open(one, later).1) == .unknownStream, "nothing is kept after a wrong chunk")
        }

        @Test func `a second connection for a stream is refused, and takes over when it comes again`() throws {
            let one = try receiver()
            defer { one.stop() }
            let sink = TestSink()
            one.receiver.state.withLock { $0.makeSink = { _ in sink } }
            let opening = SnapshotOpening(stream: 77, firstChunk: 0, message: description(from: 2, to: 1))
            let chunk = PeerFrame.snapshotChunk(index: 0, [1, 2, 3]).encoded()
            let (first, _) = try open(one, opening, then: chunk)
            #expect(refusal(try open(one, opening).1) == .busy)
            #expect(first.isClosedByPeer())
            #expect(eventually { one.log.count("what has come is kept") == 1 })
            let (_, frames) = try open(one, opening)
            var totals = SnapshotTotals()
            totals.add([1, 2, 3])
            #expect(frames == [.snapshotReadyAfter(window: 8, chunkBytes: 1 << 20, totals)])
        }

        @Test func `a newer leader's snapshot takes the place of what is kept, an older one's does not`() throws {
            let one = try receiver { $0.limits.incomingSnapshots = 1 }
            defer { one.stop() }
            let sinks = [TestSink(), TestSink(), TestSink()]
            let order = Mutex<[[[Int]]]>([])
            one.receiver.state.withLock { state in
                state.makeSink = { message in
                    order.withLock { $0.append(sinks.map(\.ends)) }
                    return message.from == NodeID(2) ? sinks[0] : message.term == Term(4) ? sinks[1] : sinks[2]
                }
            }
            let chunk = PeerFrame.snapshotChunk(index: 0, [1, 2, 3]).encoded()
            _ = try open(
                one, SnapshotOpening(stream: 77, firstChunk: 0, message: description(from: 2, to: 1)), then: chunk)
            #expect(eventually { one.log.count("what has come is kept") == 1 })
            let older = SnapshotOpening(stream: 1, firstChunk: 0, message: description(from: 3, to: 1, term: 2))
            #expect(eventually { one.transport.statistics.incomingSnapshots == 0 })
            #expect(refusal(try open(one, older).1) == .notWanted)
            #expect(eventually { one.transport.statistics.incomingSnapshots == 0 })
            let newer = SnapshotOpening(stream: 1, firstChunk: 0, message: description(from: 3, to: 1, term: 4))
            _ = try open(one, newer, then: chunk)
            // The sink was aborted before the receiver was asked for another.
            #expect(order.withLock { $0 } == [[[0, 0], [0, 0], [0, 0]], [[0, 1], [0, 0], [0, 0]]])
            // So does one that cannot be resumed.
            #expect(eventually { one.log.count("what has come is kept") == 2 })
            #expect(eventually { one.transport.statistics.incomingSnapshots == 0 })
            let raw = try RawConnection(port: one.port)
            _ = try raw.shake(from: 3, to: 1, purpose: .snapshot)
            raw.write(PeerFrame.snapshotBegin(description(from: 3, to: 1, term: 5)).encoded())
            #expect(
                try raw.readFrames(1, after: PeerFrame.magic) == [.snapshotReady(window: 8, chunkBytes: 1 << 20)])
            #expect(sinks[1].ends == [0, 1])
        }

        @Test func `frames of resumable streams mean nothing where they were not agreed on`() throws {
            let one = try receiver()
            defer { one.stop() }
            let sink = TestSink()
            one.receiver.state.withLock { $0.makeSink = { _ in sink } }
            let opening = SnapshotOpening(stream: 77, firstChunk: 0, message: description(from: 2, to: 1))
            let (raw, frames) = try open(one, opening, features: [.forwardAnswers])
            #expect(raw.isClosedByPeer() && frames.isEmpty)
            #expect(one.receiver.state.withLock { $0.descriptions } == [])
            // Given up by its sender: nothing is kept.
            let abandoned = PeerFrame.snapshotAbandoned.encoded()
            let (second, _) = try open(one, opening, then: abandoned)
            #expect(second.isClosedByPeer())
            #expect(eventually { sink.ends == [0, 1] })
            #expect(one.log.count("is kept") == 0)
        }

        @Test func `a receiver that claims what was not sent is given up`() throws {
            var longer = SnapshotTotals()
            for _ in 0..<100 { longer.add([0]) }
            var other = SnapshotTotals()
            other.add([9, 9])
            for (written, isStored) in [(longer, false), (other, false), (SnapshotTotals(), true)] {
                let listener = try RawListener()
                let one = try TestMember(1)
                defer { one.stop() }
                one.transport.setPeers([PeerAddress(node: NodeID(2), endpoints: ["127.0.0.1:\(listener.port)"])])
                let outcome = Outcome()
                one.transport.sendSnapshot(
                    description(), from: TestSource(chunks(30, of: 100)), completion: outcome.completion)
                let welcome = PeerFrame.welcome(
                    PeerWelcome(
                        version: 1, features: [.resumableSnapshots], cluster: 7, node: NodeID(2), dialler: NodeID(1),
                        directory: DirectoryID(0))
                ).encoded()
                do {
                    let first = try listener.acceptSnapshot()
                    first.write(
                        PeerFrame.magic + welcome
                            + PeerFrame.snapshotReadyAfter(window: 4, chunkBytes: 1_000, SnapshotTotals()).encoded())
                    // The opening and a window.
                    let frames = try first.readFrames(5, after: PeerFrame.magic)
                    #expect(frames.prefix(5).map(\.kind).filter { $0 == .snapshotOpen }.count == 1)
                }
                let second = try listener.acceptSnapshot()
                second.write(
                    PeerFrame.magic + welcome
                        + (isStored
                        ? PeerFrame.snapshotStored
                        : PeerFrame.snapshotReadyAfter(window: 4, chunkBytes: 1_000, written)).encoded())
                #expect(eventually { outcome.all == [false] })
            }
        }
    }
}
