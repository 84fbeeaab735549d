import Glibc
import NIOCore
import PeerTransport
import PeerTransportNIO
import Platform
import RaftCore
import Synchronization
import Testing

extension TransportTests {
    @Suite struct `Handshake and hostile bytes` {
        func refusal(_ member: TestMember, _ shake: (RawConnection) throws -> PeerFrame?) throws -> RefusalCode? {
            let raw = try RawConnection(port: member.port)
            guard case .refusal(let refusal) = try shake(raw) else { return nil }
            #expect(raw.isClosedByPeer())
            return refusal.code
        }

        @Test func `whoever is wrong is told why, and the connection is closed`() throws {
            let one = try TestMember(1)
            defer { one.stop() }
            one.transport.setPeers([PeerAddress(node: NodeID(2), endpoints: [])])
            #expect(try refusal(one) { try $0.shake(from: 2, to: 1, cluster: 8) } == .wrongCluster)
            #expect(try refusal(one) { try $0.shake(from: 2, to: 3) } == .wrongMember)
            #expect(try refusal(one) { try $0.shake(from: 1, to: 1) } == .wrongMember)
            #expect(try refusal(one) { try $0.shake(from: 9, to: 1) } == .unknownMember)
            #expect(try refusal(one) { try $0.shake(from: 2, to: 1, versions: 2...5) } == .incompatibleVersion)
            #expect(try refusal(one) { try $0.shake(from: 2, to: 1, versions: 1...5) } == nil)
            #expect(one.transport.statistics.refusedConnections == 5)
            for _ in 0..<5 { _ = try refusal(one) { try $0.shake(from: 9, to: 1) } }
            #expect(one.log.count("an unknown member") == 1, "logged once")
        }

        @Test func `a refused dialler says so once, goes on, and gets in when it is known`() throws {
            let one = try TestMember(1)
            defer { one.stop() }
            let two = try TestMember(2)
            defer { two.stop() }
            two.transport.setPeers([one.address])
            #expect(eventually { (two.statistics(of: 1)?.failures ?? 0) > 4 })
            #expect(two.log.count("an unknown member") == 1)
            one.transport.setPeers([two.address])
            #expect(eventually { two.isConnected(to: 1) })
        }

        @Test func `a member may be known by other means than the list`() throws {
            let box = Box(isKnown: false)
            let one = try TestMember(1) { options in options.isKnown = { node in node == NodeID(2) && box.value } }
            defer { one.stop() }
            let two = try TestMember(2)
            defer { two.stop() }
            two.transport.setPeers([one.address])
            #expect(eventually { (two.statistics(of: 1)?.failures ?? 0) > 2 })
            box.value = true
            #expect(eventually { two.isConnected(to: 1) })
        }

        final class Box: Sendable {
            private let state: Mutex<Bool>
            init(isKnown: Bool) { state = Mutex(isKnown) }
            var value: Bool {
                get { state.withLock { $0 } }
                set { state.withLock { $0 = newValue } }
            }
        }

        @Test func `members of another cluster never connect`() throws {
            let one = try TestMember(1)
            defer { one.stop() }
            let two = try TestMember(2) { $0.cluster = 8 }
            defer { two.stop() }
            one.transport.setPeers([two.address])
            two.transport.setPeers([one.address])
            #expect(
                eventually { (one.statistics(of: 2)?.failures ?? 0) > 3 && (two.statistics(of: 1)?.failures ?? 0) > 3 })
            #expect(!one.isConnected(to: 2) && !two.isConnected(to: 1))
            #expect(one.log.count("another cluster") == 2, "once as dialler, once as acceptor")
        }

        @Test func `the dialler checks who answers`() throws {
            let impostor = try SilentAcceptor(node: 5, answers: 1_000)
            let one = try TestMember(1)
            defer { one.stop() }
            one.transport.setPeers([PeerAddress(node: NodeID(2), endpoints: ["127.0.0.1:\(impostor.port)"])])
            #expect(eventually { (one.statistics(of: 2)?.failures ?? 0) > 2 })
            #expect(one.log.count("member 5 answers") == 1)
            #expect(!one.isConnected(to: 2))
        }

        /// What a member knows of the others' directories, and who has refused it.
        final class Memory: Sendable {
            private let state: Mutex<(known: [NodeID: DirectoryID], refusedBy: [NodeID])>
            init(_ known: [UInt64: UInt64]) {
                state = Mutex((known.reduce(into: [:]) { $0[NodeID($1.key)] = DirectoryID($1.value) }, []))
            }
            var refusedBy: [NodeID] { state.withLock { $0.refusedBy } }

            func attach(to options: inout NIOPeerTransportOptions, own: UInt64) {
                options.directory = DirectoryID(own)
                options.recognise = { node, directory in
                    self.state.withLock { state in
                        let known = state.known[node] ?? directory
                        state.known[node] = known
                        return known == directory ? .known : .another
                    }
                }
                options.disowned = { peer in self.state.withLock { $0.refusedBy.append(peer) } }
            }
        }

        @Test func `a member that comes back with another data directory is refused, and told so`() throws {
            let memory = Memory([:])
            let one = try TestMember(1) { memory.attach(to: &$0, own: 10) }
            defer { one.stop() }
            let forgetful = Memory([:])
            do {
                let two = try TestMember(2) { $0.directory = DirectoryID(20) }
                one.transport.setPeers([two.address])
                two.transport.setPeers([one.address])
                #expect(eventually { one.isConnected(to: 2) && two.isConnected(to: 1) })
                two.stop()
            }
            let wiped = try TestMember(2) { forgetful.attach(to: &$0, own: 21) }
            defer { wiped.stop() }
            one.transport.setPeers([wiped.address])
            wiped.transport.setPeers([one.address])
            #expect(eventually { forgetful.refusedBy.contains(NodeID(1)) })
            #expect(eventually { one.log.count("answers with another data directory") == 1 })
            one.send(heartbeat(from: 1, to: 2, 1))
            wiped.send(heartbeat(from: 2, to: 1, 1))
            #expect(!eventually(0.3) { one.receiver.count > 0 || wiped.receiver.count > 0 })
            #expect(!one.isConnected(to: 2) && !wiped.isConnected(to: 1))
            #expect(memory.refusedBy.isEmpty)
        }

        @Test func `a member that cannot be remembered is not listened to yet`() throws {
            let box = Box(isKnown: false)
            let one = try TestMember(1) { options in
                options.recognise = { _, _ in box.value ? .known : .unknown(reason: "the disk is full") }
            }
            defer { one.stop() }
            let two = try TestMember(2)
            defer { two.stop() }
            one.transport.setPeers([two.address])
            two.transport.setPeers([one.address])
            #expect(eventually { (two.statistics(of: 1)?.failures ?? 0) > 2 })
            #expect(!two.isConnected(to: 1) && two.log.count("the disk is full") == 1)
            box.value = true
            #expect(eventually { two.isConnected(to: 1) && one.isConnected(to: 2) })
        }

        @Test func `members of different versions meet at the newest common one, others do not`() throws {
            let one = try TestMember(1) { $0.versions = 1...2 }
            defer { one.stop() }
            let two = try TestMember(2) { $0.versions = 2...4 }
            defer { two.stop() }
            let three = try TestMember(3) { $0.versions = 3...4 }
            defer { three.stop() }
            for member in [one, two, three] { member.transport.setPeers([one.address, two.address, three.address]) }
            #expect(eventually { one.isConnected(to: 2) && two.isConnected(to: 1) && two.isConnected(to: 3) })
            #expect(eventually { (one.statistics(of: 3)?.failures ?? 0) > 2 })
            #expect(one.log.count("an incompatible version") > 0 && !one.isConnected(to: 3))
        }

        @Test func `features are what both ends can`() throws {
            let one = try TestMember(1) { $0.features = PeerFeatures(rawValue: 0b110) }
            defer { one.stop() }
            one.transport.setPeers([PeerAddress(node: NodeID(2), endpoints: [])])
            let raw = try RawConnection(port: one.port)
            let hello = PeerHello(
                versions: 1...1, purpose: .messages, features: PeerFeatures(rawValue: 0b1011), cluster: 7,
                from: NodeID(2), to: NodeID(1), directory: DirectoryID(0))
            raw.write(PeerFrame.magic + PeerFrame.hello(hello).encoded())
            let welcome = PeerWelcome(
                version: 1, features: PeerFeatures(rawValue: 0b10), cluster: 7, node: NodeID(1), dialler: NodeID(2),
                directory: DirectoryID(0))
            #expect(try raw.readFrames(1) == [.welcome(welcome)])
        }

        /// What comes after a good handshake, and must end the connection.
        func hostileFrames() -> [(String, [UInt8])] {
            let good = PeerFrame.messages([heartbeat(from: 2, to: 1, 1)]).encoded()
            var corrupt = good
            corrupt[12] ^= 1
            let misplaced = PeerFrame.messages([heartbeat(from: 2, to: 3, 1)]).encoded()
            let snapshot = PeerFrame.messages([
                Message(
                    from: NodeID(2), to: NodeID(1), term: Term(1),
                    body: .installSnapshot(
                        SnapshotDescription(index: .zero, term: .zero, configuration: Configuration())))
            ]).encoded()
            return [
                ("a wrong checksum", corrupt),
                ("a huge frame", [0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0]),
                ("an empty frame", [UInt8](repeating: 0, count: 8)),
                (
                    "a second hello",
                    PeerFrame.hello(
                        PeerHello(
                            versions: 1...1, purpose: .messages, features: [], cluster: 7, from: NodeID(2),
                            to: NodeID(1), directory: DirectoryID(0))
                    ).encoded()
                ),
                (
                    "a welcome",
                    PeerFrame.welcome(
                        PeerWelcome(
                            version: 1, features: [], cluster: 7, node: NodeID(2), dialler: NodeID(1),
                            directory: DirectoryID(0))
                    ).encoded()
                ),
                ("a chunk", PeerFrame.snapshotChunk(index: 0, [1]).encoded()),
                ("a message for another", misplaced),
                ("a snapshot without chunks", snapshot),
            ]
        }

        @Test func `a bad frame ends its own connection and no other`() throws {
            try withCluster(2) { members in
                members[0].transport.setPeers(
                    members.map(\.address) + [PeerAddress(node: NodeID(3), endpoints: [])])
                for (name, bytes) in hostileFrames() {
                    let raw = try RawConnection(port: members[0].port)
                    _ = try raw.shake(from: 3, to: 1)
                    raw.write(PeerFrame.messages([heartbeat(from: 3, to: 1, 77)]).encoded() + bytes)
                    #expect(raw.isClosedByPeer(), "\(name)")
                }
                // What was whole before the bad frame was delivered.
                #expect(members[0].receiver.messages == [Message](repeating: heartbeat(from: 3, to: 1, 77), count: 8))
                #expect(eventually { members[0].transport.statistics.malformedConnections == 8 })
                #expect(members[1].isConnected(to: 1) && members[1].statistics(of: 1)?.connections == 1)
            }
        }

        @Test func `frames arrive whole however they are cut`() throws {
            let one = try TestMember(1)
            defer { one.stop() }
            one.transport.setPeers([PeerAddress(node: NodeID(2), endpoints: [])])
            let raw = try RawConnection(port: one.port)
            let hello = PeerFrame.hello(
                PeerHello(
                    versions: 1...1, purpose: .messages, features: [], cluster: 7, from: NodeID(2), to: NodeID(1),
                    directory: DirectoryID(0))
            ).encoded()
            let messages = (0..<20).map { heartbeat(from: 2, to: 1, $0) }
            let bytes = PeerFrame.magic + hello + messages.flatMap { PeerFrame.messages([$0]).encoded() }
            var random = RandomSource(seed: 9)
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = min(rest.count, 1 + random.below(9))
                raw.write(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
                usleep(500)
            }
            #expect(eventually { one.receiver.messages == messages })
        }

        @Test func `random bytes on the port harm nobody`() throws {
            try withCluster(2) { members in
                members[0].transport.setPeers(
                    members.map(\.address) + [PeerAddress(node: NodeID(3), endpoints: [])])
                var random = RandomSource(seed: 4)
                func noise(_ count: Int) -> [UInt8] {
                    (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                }
                let kinds: [UInt8] = [1, 2, 3, 0x10, 0x11, 0x12, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x99]
                for round in 0..<300 {
                    let raw = try RawConnection(port: members[0].port)
                    switch round % 4 {
                    case 0: raw.write(noise(200))
                    case 1: raw.write(PeerFrame.magic + noise(200))
                    default:
                        // Past the checksum: frames whose bodies are noise.
                        _ = try raw.shake(from: 3, to: 1, purpose: round % 4 == 2 ? .messages : .snapshot)
                        for _ in 0..<4 {
                            var frame = [UInt8](repeating: 0, count: 8) + [kinds[random.below(kinds.count)]]
                            frame += noise(random.below(60))
                            frame.withUnsafeMutableBytes { PeerFrame.seal($0) }
                            raw.write(frame)
                        }
                    }
                }
                members[1].send(heartbeat(from: 2, to: 1, 1))
                #expect(eventually { members[0].receiver.messages(from: 2).count == 1 })
                #expect(members[1].statistics(of: 1)?.connections == 1)
                #expect(eventually { members[0].transport.statistics.acceptedConnections == 1 })
                #expect(eventually { members[0].transport.statistics.incomingSnapshots == 0 })
            }
        }

        @Test func `connections beyond the limit are not taken`() throws {
            let one = try TestMember(1) { options in
                options.limits.acceptedConnections = 3
                options.timings.handshakeTimeout = .seconds(30)
            }
            defer { one.stop() }
            let open = try (0..<3).map { _ in try RawConnection(port: one.port) }
            #expect(eventually { one.transport.statistics.acceptedConnections == 3 })
            #expect(try RawConnection(port: one.port).isClosedByPeer())
            _ = open.count
            #expect(one.transport.statistics.acceptedConnections == 3)
        }
    }
}
