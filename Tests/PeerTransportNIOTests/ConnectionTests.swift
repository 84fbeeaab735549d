import Glibc
import NIOCore
import PeerTransport
import PeerTransportNIO
import RaftCore
import Testing

extension TransportTests {
    @Suite struct `Connections` {
        @Test func `a peer that restarts is reached again`() throws {
            let one = try TestMember(1)
            defer { one.stop() }
            var two = try TestMember(2)
            one.transport.setPeers([one.address, two.address])
            two.transport.setPeers([one.address, two.address])
            try #require(eventually { one.isConnected(to: 2) && two.isConnected(to: 1) })
            let port = two.port
            for round in 1...3 {
                two.stop()
                #expect(eventually { !one.isConnected(to: 2) })
                #expect(eventually { one.receiver.unreachable.count >= round })
                // Its port refuses.
                let told = one.receiver.gone.count
                #expect(eventually { one.receiver.gone.count > told })
                two = try TestMember(2, port: port)
                two.transport.setPeers([one.address, two.address])
                try #require(eventually { one.isConnected(to: 2) && two.isConnected(to: 1) })
                one.send(heartbeat(from: 1, to: 2, UInt64(round)))
                #expect(eventually { two.receiver.messages == [heartbeat(from: 1, to: 2, UInt64(round))] })
            }
            two.stop()
            #expect(one.statistics(of: 2)?.connections == 4)
        }

        @Test func `messages to a member that is down are dropped and reported, not too often`() throws {
            let one = try TestMember(1) { $0.timings.unreachableInterval = .milliseconds(200) }
            defer { one.stop() }
            one.transport.setPeers([PeerAddress(node: NodeID(2), endpoints: ["127.0.0.1:1"])])
            for number in 0..<300 {
                one.transport.send((0..<10).map { heartbeat(from: 1, to: 2, UInt64(number * 10 + $0)) })
                usleep(1_000)
            }
            #expect(eventually { (one.statistics(of: 2)?.droppedMessages ?? 0) > 2_800 })
            let reports = one.receiver.unreachable.count
            #expect(reports >= 1 && reports <= 20)
            #expect((one.statistics(of: 2)?.failures ?? 0) > 2)
            // However often it failed, it is logged once.
            #expect(one.log.count("cannot reach a peer") == 1)
        }

        @Test func `a member is gone when all of its addresses refuse, not when one does or nobody answers`() throws {
            let one = try TestMember(1) { $0.timings.handshakeTimeout = .milliseconds(50) }
            defer { one.stop() }
            let silent = try SilentAcceptor(node: 3, answers: 0)
            one.transport.setPeers([
                PeerAddress(node: NodeID(2), endpoints: ["127.0.0.1:1", "127.0.0.1:2"]),
                PeerAddress(node: NodeID(3), endpoints: ["127.0.0.1:1", "127.0.0.1:\(silent.port)"]),
            ])
            #expect(eventually { one.receiver.gone.count { $0 == NodeID(2) } >= 3 })
            #expect(eventually { (one.statistics(of: 3)?.failures ?? 0) >= 4 })
            withExtendedLifetime(silent) { #expect(!one.receiver.gone.contains(NodeID(3))) }
        }

        @Test func `a few messages wait for the first connection`() throws {
            let two = try TestMember(2)
            defer { two.stop() }
            let one = try TestMember(1)
            defer { one.stop() }
            two.transport.setPeers([one.address])
            one.transport.setPeers([two.address])
            one.transport.send((0..<10).map { heartbeat(from: 1, to: 2, UInt64($0)) })
            #expect(eventually { two.receiver.count == 10 })
        }

        @Test func `the queue to a member that does not read is bounded`() throws {
            // Accepts and never reads: the handshake is answered by hand.
            let listener = try SilentAcceptor(node: 2, answers: 1)
            let one = try TestMember(1) { options in
                options.limits.queueBytes = 8 << 20
                options.timings.readTimeout = .seconds(60)
            }
            defer { one.stop() }
            one.transport.setPeers([PeerAddress(node: NodeID(2), endpoints: ["127.0.0.1:\(listener.port)"])])
            try #require(eventually { one.isConnected(to: 2) })
            let message = append(from: 1, to: 2, first: 1, count: 10, bytes: 10_000)
            for _ in 0..<500 { one.transport.send([message]) }
            // 50 MB were sent; the queue holds 8, the kernel some more.
            #expect(eventually { !one.receiver.unreachable.isEmpty })
            let dropped = try #require(one.statistics(of: 2)).droppedMessages
            #expect(dropped > 200 && dropped < 500)
            #expect(one.isConnected(to: 2))
        }

        @Test func `a connection on which nothing comes back is given up`() throws {
            let listener = try SilentAcceptor(node: 2, answers: 5)
            let one = try TestMember(1) { $0.timings.readTimeout = .milliseconds(200) }
            defer { one.stop() }
            one.transport.setPeers([PeerAddress(node: NodeID(2), endpoints: ["127.0.0.1:\(listener.port)"])])
            #expect(eventually { one.isConnected(to: 2) })
            #expect(eventually { one.log.count("no sign of life") == 1 })
            #expect(one.receiver.unreachable.contains(NodeID(2)))
        }

        @Test func `an accepted connection that falls silent is closed`() throws {
            let one = try TestMember(1) { $0.timings.readTimeout = .milliseconds(200) }
            defer { one.stop() }
            one.transport.setPeers([PeerAddress(node: NodeID(2), endpoints: [])])
            let raw = try RawConnection(port: one.port)
            guard case .welcome = try raw.shake(from: 2, to: 1) else { return #expect(Bool(false), "not welcome") }
            #expect(raw.isClosedByPeer())
            let mute = try RawConnection(port: one.port)
            #expect(mute.isClosedByPeer(), "a handshake that never comes")
        }

        @Test func `endpoints are tried in turn`() throws {
            let two = try TestMember(2)
            defer { two.stop() }
            let one = try TestMember(1)
            defer { one.stop() }
            two.transport.setPeers([one.address])
            one.transport.setPeers([
                PeerAddress(
                    node: NodeID(2), endpoints: ["127.0.0.1:1", "not an address", "localhost:\(two.port)"])
            ])
            #expect(eventually { one.isConnected(to: 2) })
            #expect(one.log.count("cannot use an address") == 1)
        }

        @Test func `a member's new address is used`() throws {
            let two = try TestMember(2)
            defer { two.stop() }
            let one = try TestMember(1) { $0.timings.longestBackOff = .seconds(30) }
            defer { one.stop() }
            two.transport.setPeers([one.address])
            one.transport.setPeers([PeerAddress(node: NodeID(2), endpoints: ["127.0.0.1:1"])])
            #expect(eventually { (one.statistics(of: 2)?.failures ?? 0) > 6 })
            one.transport.setPeers([two.address])
            #expect(eventually(2) { one.isConnected(to: 2) })
        }

        @Test func `a member that is taken out is cut off, both ways`() throws {
            try withCluster { members in
                members[0].transport.setPeers([members[0].address, members[1].address])
                #expect(eventually { !members[2].isConnected(to: 1) })
                #expect(eventually { members[2].log.count("an unknown member") > 0 })
                members[0].transport.send([heartbeat(from: 1, to: 3, 1), heartbeat(from: 1, to: 2, 2)])
                members[2].send(heartbeat(from: 3, to: 1, 3))
                #expect(eventually { members[1].receiver.count == 1 })
                usleep(100_000)
                #expect(members[2].receiver.count == 0 && members[0].receiver.count == 0)
                #expect(!members[2].isConnected(to: 1) && members[2].isConnected(to: 2))
                // And back in.
                members[0].transport.setPeers(members.map(\.address))
                #expect(eventually { members[2].isConnected(to: 1) && members[0].isConnected(to: 3) })
            }
        }

        @Test func `a newer connection of the same member replaces the older`() throws {
            let one = try TestMember(1)
            defer { one.stop() }
            one.transport.setPeers([PeerAddress(node: NodeID(2), endpoints: [])])
            let older = try RawConnection(port: one.port)
            _ = try older.shake(from: 2, to: 1)
            let newer = try RawConnection(port: one.port)
            _ = try newer.shake(from: 2, to: 1)
            #expect(older.isClosedByPeer())
            newer.write(PeerFrame.messages([heartbeat(from: 2, to: 1, 5)]).encoded())
            #expect(eventually { one.receiver.count == 1 })
        }

        @Test func `sockets that listen already are taken over`() throws {
            let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            #expect(Glibc.listen(listener, 16) == 0)  // unbound: any free port
            var options = NIOPeerTransportOptions(node: NodeID(1), cluster: 7, listenAddresses: ["nonsense"], seed: 1)
            options.listeningSockets = [listener]
            let transport = NIOPeerTransport(options, eventLoops: .own(threads: 1))
            try transport.start(receiver: TestReceiver())
            defer { transport.stop() }
            transport.setPeers([PeerAddress(node: NodeID(2), endpoints: [])])
            let port = try #require(transport.boundPorts.first)
            let connection = try RawConnection(port: port)
            _ = try connection.shake(from: 2, to: 1)
            // Those that are open are counted.
            withExtendedLifetime(connection) {
                #expect(eventually { transport.statistics.acceptedConnections == 1 })
            }
        }

        @Test func `an address in use is named`() throws {
            let one = try TestMember(1)
            defer { one.stop() }
            let address = "127.0.0.1:\(one.port)"
            #expect(throws: PeerTransportError.addressInUse(address)) { try TestMember(2, port: one.port) }
            for bad in ["nonsense", "127.0.0.1", "127.0.0.1:99999", ":80", "::1:80"] {
                let transport = NIOPeerTransport(
                    NIOPeerTransportOptions(node: NodeID(1), cluster: 1, listenAddresses: [bad], seed: 1),
                    eventLoops: .own(threads: 1))
                #expect(throws: PeerTransportError.invalidAddress(bad)) {
                    try transport.start(receiver: TestReceiver())
                }
            }
            let foreign = NIOPeerTransport(
                NIOPeerTransportOptions(node: NodeID(1), cluster: 1, listenAddresses: ["192.0.2.1:7"], seed: 1),
                eventLoops: .own(threads: 1))
            do {
                try foreign.start(receiver: TestReceiver())
                Issue.record("listens on an address that is not ours")
            } catch {
                guard case .cannotListen("192.0.2.1:7", _) = error else { throw error }
            }
        }

        @Test func `starting and stopping many times leaves nothing behind`() throws {
            func descriptors() -> Int {
                var count = 0
                guard let directory = opendir("/proc/self/fd") else { return -1 }
                defer { closedir(directory) }
                while readdir(directory) != nil { count += 1 }
                return count
            }
            func threads() -> Int {
                var count = 0
                guard let directory = opendir("/proc/self/task") else { return -1 }
                defer { closedir(directory) }
                while readdir(directory) != nil { count += 1 }
                return count
            }
            var weakReceivers: [() -> TestReceiver?] = []
            func play(_ rounds: Int) throws {
                for _ in 0..<rounds {
                    let one = try TestMember(1)
                    let two = try TestMember(2)
                    one.transport.setPeers([two.address, PeerAddress(node: NodeID(3), endpoints: ["127.0.0.1:1"])])
                    two.transport.setPeers([one.address])
                    one.send(heartbeat(from: 1, to: 2, 1))
                    weakReceivers.append { [weak receiver = one.receiver] in receiver }
                    one.stop()
                    two.stop()
                    two.stop()
                    one.send(heartbeat(from: 1, to: 2, 1))
                }
            }
            try play(5)
            let before = (descriptors(), threads())
            try play(60)
            #expect(descriptors() <= before.0 + 3)
            #expect(threads() <= before.1 + 3)
            #expect(weakReceivers.allSatisfy { $0() == nil })
        }
    }
}

/// Listens, says welcome as often as it is told to, and never reads again.
final class SilentAcceptor {
    let descriptor: Int32
    let port: Int
    private let thread: pthread_t

    init(node: UInt64, answers: Int) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.descriptor = descriptor
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = bind(descriptor, address, length)
                _ = listen(descriptor, 8)
                _ = getsockname(descriptor, address, &length)
            }
        }
        port = Int(in_port_t(bigEndian: address.sin_port))
        final class Arguments {
            let descriptor: Int32
            let node: UInt64
            let answers: Int
            init(_ descriptor: Int32, _ node: UInt64, _ answers: Int) {
                (self.descriptor, self.node, self.answers) = (descriptor, node, answers)
            }
        }
        var thread = pthread_t()
        let arguments = Unmanaged.passRetained(Arguments(descriptor, node, answers)).toOpaque()
        pthread_create(
            &thread, nil,
            { pointer in
                let arguments = Unmanaged<Arguments>.fromOpaque(pointer!).takeRetainedValue()
                var open: [Int32] = []
                for _ in 0..<arguments.answers {
                    let client = accept(arguments.descriptor, nil, nil)
                    guard client >= 0 else { break }
                    open.append(client)
                    let welcome =
                        PeerFrame.magic
                        + PeerFrame.welcome(
                            PeerWelcome(
                                version: 1, features: [], cluster: 7, node: NodeID(arguments.node), dialler: NodeID(1),
                                directory: DirectoryID(0))
                        ).encoded()
                    _ = send(client, welcome, welcome.count, Int32(MSG_NOSIGNAL))
                }
                var byte: UInt8 = 0
                // Until the listener is shut down.
                while accept(arguments.descriptor, nil, nil) >= 0 { byte &+= 1 }
                for client in open { close(client) }
                return nil
            }, arguments)
        self.thread = thread
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
        pthread_join(thread, nil)
        close(descriptor)
    }
}
