import PeerTransport
import RaftCore
import Synchronization

/// Who is in the cluster and where, for the transport and for those who ask.
///
/// Members that were removed can still be reached for a while: the news that they were removed has to get to them.
final class PeerDirectory: Sendable {
    private struct State: Sendable {
        var configuration = Configuration()
        var roster: [RaftPeer] = []
        /// Given at the start, and used until the member knows better.
        var hints: [RaftPeer] = []
        var leaving: [(peer: RaftPeer, until: UInt64)] = []
        var transport: (any PeerTransport)?
    }

    private let own: NodeID
    private let state = Mutex(State())
    /// One `setPeers` at a time; the transport may ask ``isKnown(_:)`` meanwhile.
    private let telling = Mutex(0)

    init(own: NodeID) { self.own = own }

    var peers: [RaftPeer] { state.withLock { $0.roster } }
    var configuration: Configuration { state.withLock { $0.configuration } }

    /// A member that has heard nothing yet cannot know who may speak to it.
    func isKnown(_ id: NodeID) -> Bool {
        state.withLock { state in
            state.roster.isEmpty || state.roster.contains { $0.id == id } || state.leaving.contains { $0.peer.id == id }
        }
    }

    func role(of id: NodeID) -> RaftPeer.Role {
        state.withLock { state in state.roster.first { $0.id == id }?.role ?? .voter }
    }

    func start(_ configuration: Configuration, _ roster: [RaftPeer], hints: [RaftPeer]) {
        state.withLock { state in
            state.configuration = configuration
            state.roster = roster
            state.hints = hints
        }
    }

    func attach(_ transport: any PeerTransport) {
        state.withLock { $0.transport = transport }
        tell()
    }

    func detach() { state.withLock { $0.transport = nil } }

    /// - Returns: whether this member was in the cluster before, and is not any more.
    func update(_ configuration: Configuration, _ roster: [RaftPeer], keepLeaversUntil until: UInt64) -> Bool {
        let isRemoved = state.withLock { state in
            let wasIn = state.configuration.contains(own)
            for peer in state.roster where !roster.contains(where: { $0.id == peer.id }) {
                state.leaving.append((peer, until))
            }
            state.leaving.removeAll { leaver in roster.contains { $0.id == leaver.peer.id } }
            state.configuration = configuration
            state.roster = roster
            return wasIn && !configuration.contains(own)
        }
        tell()
        return isRemoved
    }

    /// Cuts off those whose time is up.
    func forgetLeavers(now: UInt64) {
        let isChanged = state.withLock { state in
            let before = state.leaving.count
            state.leaving.removeAll { $0.until <= now }
            return state.leaving.count != before
        }
        if isChanged { tell() }
    }

    private func tell() {
        telling.withLock { _ in
            let (transport, addresses) = state.withLock { state in
                let known = (state.roster.isEmpty ? state.hints : state.roster) + state.leaving.map(\.peer)
                return (state.transport, known.filter { $0.id != own }.map(Self.address(of:)))
            }
            transport?.setPeers(addresses)
        }
    }

    var addresses: [PeerAddress] {
        state.withLock { state in
            (state.roster.isEmpty ? state.hints : state.roster).filter { $0.id != own }.map(Self.address(of:))
        }
    }

    func address(of id: NodeID) -> String? {
        state.withLock { state in (state.roster + state.hints).first { $0.id == id }?.address }
    }

    private static func address(of peer: RaftPeer) -> PeerAddress {
        PeerAddress(node: peer.id, endpoints: peer.address.isEmpty ? [] : [peer.address])
    }
}
