import Glibc
import NIOCore
import NIOPosix
import PeerTransport
import PeerTransportNIO
import RaftCore
import Synchronization
import Testing

extension TransportTests {
    @Suite struct `Message delivery` {
        @Test func `three members deliver everything, in order, to whom it is meant for`() throws {
            try withCluster { members in
                for round in 0..<200 {
                    for member in members {
                        let others = members.filter { $0.id != member.id }
                        // As a leader's loop does: several messages to several members in one call.
                        member.transport.send(
                            others.flatMap { other in
                                (0..<5).map { heartbeat(from: member.id, to: other.id, UInt64(round * 5 + $0)) }
                            })
                    }
                }
                for member in members {
                    #expect(eventually { member.receiver.count == 2_000 })
                    for other in members where other.id != member.id {
                        let expected = (0..<1_000).map { heartbeat(from: other.id, to: member.id, UInt64($0)) }
                        #expect(member.receiver.messages(from: other.id) == expected)
                    }
                }
                let statistics = try #require(members[0].statistics(of: 2))
                #expect(statistics.sentMessages == 1_000 && statistics.receivedMessages == 1_000)
                #expect(statistics.sentBytes > 20_000 && statistics.receivedBytes > 20_000)
                #expect(statistics.droppedMessages == 0 && statistics.connections == 1)
            }
        }

        @Test func `answers go to members that understand them, and to no others`() throws {
            let answer = Message(
                from: NodeID(1), to: NodeID(2), term: .zero,
                body: .forwardAnswer(.proposalsRefused([7], reason: .transferring)))
            let other = heartbeat(from: 1, to: 2, 1)
            for understands in [true, false] {
                try withCluster(2, change: { if $0.node == NodeID(2), !understands { $0.features = [] } }) { members in
                    members[0].transport.send([answer, other])
                    let expected = understands ? [answer, other] : [other]
                    #expect(eventually { members[1].receiver.count == expected.count })
                    #expect(members[1].receiver.messages == expected)
                    #expect(members[0].statistics(of: 2)?.droppedMessages == 0)
                }
            }
        }

        @Test func `large and small messages keep their order`() throws {
            try withCluster(2) { members in
                let messages = (0..<60).map { number in
                    append(
                        from: 1, to: 2, first: UInt64(number * 100 + 1), count: number % 20 == 0 ? 1 : 1 + number % 7,
                        bytes: number % 20 == 0 ? 1_500_000 : number * 40)
                }
                for start in stride(from: 0, to: 60, by: 3) {
                    members[0].transport.send(Array(messages[start..<start + 3]))
                }
                #expect(eventually { members[1].receiver.count == 60 })
                #expect(members[1].receiver.messages == messages)
            }
        }

        @Test func `a burst arrives in few calls`() throws {
            try withCluster(2) { members in
                members[0].transport.send((0..<5_000).map { heartbeat(from: 1, to: 2, UInt64($0)) })
                #expect(eventually { members[1].receiver.count == 5_000 })
                #expect(members[1].receiver.state.withLock { $0.calls } < 100)
            }
        }

        @Test func `pings measure the round trip`() throws {
            try withCluster(2) { members in
                #expect(eventually { (members[0].statistics(of: 2)?.roundTrips.count ?? 0) >= 3 })
                let trips = try #require(members[0].statistics(of: 2)).roundTrips
                #expect(trips.lastNanoseconds > 0 && trips.sumNanoseconds >= trips.lastNanoseconds)
            }
        }

        @Test func `a shared event loop group serves several transports and outlives them`() throws {
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            defer { try? group.syncShutdownGracefully() }
            let receivers = [TestReceiver(), TestReceiver()]
            let transports = (0..<2).map { position in
                NIOPeerTransport(
                    NIOPeerTransportOptions(
                        node: NodeID(UInt64(position + 1)), cluster: 1, listenAddresses: ["127.0.0.1:0"],
                        seed: UInt64(position)),
                    eventLoops: .shared(group))
            }
            for (transport, receiver) in zip(transports, receivers) { try transport.start(receiver: receiver) }
            for transport in transports {
                transport.setPeers(
                    transports.enumerated().map { position, transport in
                        PeerAddress(
                            node: NodeID(UInt64(position + 1)), endpoints: ["127.0.0.1:\(transport.boundPorts[0])"])
                    })
            }
            #expect(
                eventually {
                    transports[0].send([heartbeat(from: 1, to: 2, 1)])
                    return receivers[1].count > 0
                })
            for transport in transports { transport.stop() }
            #expect(try group.next().submit { 5 }.wait() == 5)
        }

        @Test func `messages to nobody and to oneself are passed over`() throws {
            try withCluster(2) { members in
                members[0].transport.send([
                    heartbeat(from: 1, to: 9, 1), heartbeat(from: 1, to: 1, 2), heartbeat(from: 1, to: 2, 3),
                ])
                #expect(eventually { members[1].receiver.count == 1 })
                #expect(members[0].receiver.count == 0)
            }
        }

        @Test func `what may not travel as a message is dropped and logged`() throws {
            try withCluster(
                2,
                change: { options in options.wire.frameBytes = 10_000 }
            ) { members in
                let snapshot = Message(
                    from: NodeID(1), to: NodeID(2), term: Term(1),
                    body: .installSnapshot(
                        SnapshotDescription(index: .zero, term: .zero, configuration: Configuration())))
                members[0].transport.send([
                    append(from: 1, to: 2, first: 1, count: 1, bytes: 10_000), snapshot, heartbeat(from: 1, to: 2, 3),
                ])
                #expect(eventually { members[1].receiver.count == 1 })
                #expect(members[1].receiver.messages == [heartbeat(from: 1, to: 2, 3)])
                #expect(members[0].statistics(of: 2)?.droppedMessages == 2)
                #expect(members[0].log.count("dropped messages") == 1)
            }
        }
    }
}

/// Real sockets and real time: one test at a time.
@Suite(.serialized) struct TransportTests {}
