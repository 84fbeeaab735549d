import NIOCore
import PeerTransport
import RaftCore
import Replica
import Synchronization
import Testing

@testable import MartletServer

/// Remembers whom it was told of.
private final class ListeningTransport: PeerTransport {
    let lists = Mutex<[[PeerAddress]]>([])
    var last: [UInt64] { lists.withLock { $0.last?.map(\.node.rawValue) ?? [] } }

    func setPeers(_ peers: [PeerAddress]) { lists.withLock { $0.append(peers) } }
    func send(_ messages: [Message]) {}
    func sendSnapshot(
        _ description: Message, from source: any SnapshotSource, completion: @escaping @Sendable (Bool) -> Void
    ) { completion(false) }
    func stop() {}
}

@Suite struct MemberRosterTests {
    private func membership(_ voters: [UInt64], learners: [UInt64] = [], removed: [UInt64] = []) -> ReplicaMembership {
        ReplicaMembership(
            members: (voters + learners).sorted().map { id in
                Member(id: NodeID(id), name: "m\(id)", peerURLs: ["http://h\(id):1"], clientURLs: [])
            },
            removed: removed.map { NodeID($0) },
            configuration: Configuration(voters: voters.map { NodeID($0) }, learners: learners.map { NodeID($0) }))
    }

    private func roster(_ membership: ReplicaMembership, hints: [PeerAddress] = []) -> MemberRoster {
        MemberRoster(
            clusterID: 1, own: NodeID(1), membership: membership, hints: hints, leaversKept: .seconds(5),
            logger: quietLogger)
    }

    @Test func `the transport hears of everybody but oneself, and of who has left for a while yet`() {
        let roster = roster(membership([1, 2, 3]))
        let transport = ListeningTransport()
        roster.attach(transport)
        #expect(transport.last == [2, 3])
        let now = NIODeadline.uptimeNanoseconds(100_000_000_000)
        #expect(
            roster.update(membership([1, 2], learners: [4], removed: [3]), now: now)
                == .init(isRemoved: false, hasLeavers: true))
        #expect(transport.last == [2, 4, 3])
        #expect(roster.isKnown(NodeID(3)) && roster.isRemoved(NodeID(3)))
        #expect(roster.name(of: NodeID(4)) == "m4" && roster.name(of: NodeID(255)) == "ff")
        roster.forgetLeavers(now: now + .seconds(4))
        #expect(transport.last == [2, 4, 3])
        roster.forgetLeavers(now: now + .seconds(5))
        #expect(transport.last == [2, 4])
        #expect(!roster.isKnown(NodeID(3)) && roster.isRemoved(NodeID(3)))
    }

    @Test func `a member that moves is told at its new address`() {
        let roster = roster(membership([1, 2]))
        let transport = ListeningTransport()
        roster.attach(transport)
        var moved = membership([1, 2])
        moved.members[1].peerURLs = ["http://h9:9", "nonsense"]
        #expect(roster.update(moved) == .init())
        #expect(transport.lists.withLock { $0.last } == [PeerAddress(node: NodeID(2), endpoints: ["h9:9"])])
    }

    @Test func `one's own removal is news, once`() {
        let roster = roster(membership([1, 2, 3]))
        #expect(roster.update(membership([2, 3], removed: [1])) == .init(isRemoved: true, hasLeavers: false))
        #expect(roster.update(membership([2], removed: [1, 3])).isRemoved == false)
    }

    @Test func `who has heard nothing yet knows hints, and lets everybody in`() {
        let hints = [PeerAddress(node: NodeID(2), endpoints: ["a:1"]), PeerAddress(node: NodeID(1), endpoints: ["b:1"])]
        let roster = roster(membership([]), hints: hints)
        let transport = ListeningTransport()
        roster.attach(transport)
        #expect(transport.lists.withLock { $0.last } == [hints[0]])
        #expect(roster.isKnown(NodeID(99)))
        // The state comes: the hints are forgotten, and it is not a removal that this member is new.
        #expect(roster.update(membership([1, 3])) == .init())
        #expect(transport.last == [3])
        #expect(!roster.isKnown(NodeID(99)) && !roster.isKnown(NodeID(2)))
    }
}
