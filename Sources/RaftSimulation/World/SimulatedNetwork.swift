package import PeerTransport
import Platform
package import RaftCore

/// The network between simulated members: delays, loses, repeats and reorders messages, and can be cut in one direction
/// or both.
package final class SimulatedNetwork {
    /// How the network behaves; chances are "one in n", 0 for never.
    package struct Conditions: Sendable {
        package var leastDelay: UInt64 = 50_000
        package var mostDelay: UInt64 = 2_000_000
        package var lossOneIn = 0
        package var duplicationOneIn = 0
        /// Messages that are delayed by up to a second more, and so overtaken by many others.
        package var stragglerOneIn = 0
        /// Snapshot streams that break off half way.
        package var snapshotLossOneIn = 0

        package init() {}

        /// A bad network, in some of the ways that there are.
        init(worsenedBy random: inout RandomSource) {
            mostDelay = 500_000 + random.next() % 50_000_000
            if random.oneIn(2) { lossOneIn = 3 + random.below(50) }
            if random.oneIn(2) { duplicationOneIn = 3 + random.below(20) }
            if random.oneIn(2) { stragglerOneIn = 5 + random.below(50) }
            if random.oneIn(2) { snapshotLossOneIn = 2 + random.below(5) }
        }
    }

    package var conditions = Conditions()
    /// Told of every message that is sent, before anything becomes of it.
    package var onSend: ((Message) -> Void)?
    package private(set) var delivered = 0
    package private(set) var lost = 0
    private let queue: EventQueue
    private var receivers: [(node: NodeID, receiver: any PeerReceiver, world: SimulatedWorld)] = []
    private var cuts: [Link] = []
    private var late: [(node: NodeID, most: UInt64)] = []

    /// One direction between two members.
    package struct Link: Hashable, Sendable {
        package var from: NodeID
        package var to: NodeID

        package init(from: NodeID, to: NodeID) {
            self.from = from
            self.to = to
        }
    }

    package init(queue: EventQueue) { self.queue = queue }

    package func attach(_ node: NodeID, receiver: any PeerReceiver, world: SimulatedWorld) {
        receivers.removeAll { $0.node == node }
        receivers.append((node, receiver, world))
    }

    package func detach(_ node: NodeID) {
        receivers.removeAll { $0.node == node }
        for (other, _, _) in receivers {
            queue.schedule(after: delay()) { [self] in tellGone(other, about: node) }
        }
    }

    /// A link that several cuts have cut is mended by as many.
    package func cut(_ links: [Link]) { cuts.append(contentsOf: links) }

    package func mend(_ links: [Link]) {
        for link in links {
            if let place = cuts.firstIndex(of: link) { cuts.remove(at: place) }
        }
    }

    /// Most messages to this member take up to so much longer, and some come twice; zero ends it.
    package func delay(messagesTo node: NodeID, by most: UInt64) {
        late.removeAll { $0.node == node }
        if most > 0 { late.append((node, most)) }
    }

    package func heal() {
        cuts = []
        late = []
    }

    private func isCut(_ from: NodeID, _ to: NodeID) -> Bool { cuts.contains(Link(from: from, to: to)) }

    private func delay(to node: NodeID) -> UInt64 {
        guard let late = late.first(where: { $0.node == node }), !queue.random.oneIn(4) else { return delay() }
        return delay() + late.most / 2 + queue.random.next() % (late.most / 2 + 1)
    }

    private func delay() -> UInt64 {
        let spread = conditions.mostDelay - conditions.leastDelay
        var delay = conditions.leastDelay + (spread == 0 ? 0 : queue.random.next() % spread)
        if conditions.stragglerOneIn > 0, queue.random.oneIn(conditions.stragglerOneIn) {
            delay += queue.random.next() % 1_000_000_000
        }
        return delay
    }

    fileprivate func send(_ message: Message) {
        onSend?(message)
        if conditions.lossOneIn > 0, queue.random.oneIn(conditions.lossOneIn) {
            lost += 1
            return
        }
        var copies = 1
        // Proposals are the one thing that a transport must not deliver twice (see `PeerTransport`).
        if conditions.duplicationOneIn > 0, !message.isProposal, queue.random.oneIn(conditions.duplicationOneIn) {
            copies = 2
        }
        if late.contains(where: { $0.node == message.to }), !message.isProposal, queue.random.oneIn(3) { copies = 2 }
        for _ in 0..<copies {
            queue.schedule(after: delay(to: message.to)) { [self] in
                // A cut takes what is under way as well.
                guard !isCut(message.from, message.to),
                    let target = receivers.first(where: { $0.node == message.to })
                else {
                    lost += 1
                    tellUnreachable(message.from, about: message.to)
                    tellGone(message.from, about: message.to)
                    return
                }
                delivered += 1
                target.receiver.received(message)
            }
        }
    }

    private func tellUnreachable(_ node: NodeID, about peer: NodeID) {
        guard queue.random.oneIn(4) else { return }
        receivers.first { $0.node == node }?.receiver.unreachable(peer)
    }

    /// Where there is no process, connections are refused. So they are by some firewalls, though there is one.
    private func tellGone(_ node: NodeID, about peer: NodeID) {
        let isRefused = !isCut(node, peer) && !receivers.contains { $0.node == peer }
        guard queue.random.oneIn(isRefused ? 2 : 16) else { return }
        receivers.first { $0.node == node }?.receiver.gone(peer)
    }

    fileprivate func sendSnapshot(
        _ description: Message, from source: any SnapshotSource, completion: @escaping @Sendable (Bool) -> Void
    ) {
        queue.schedule(after: delay()) { [self] in
            guard !isCut(description.from, description.to),
                let target = receivers.first(where: { $0.node == description.to }),
                let sink = target.receiver.beginSnapshot(description)
            else { return completion(false) }
            stream(description, source, sink, completion)
        }
    }

    /// One chunk an event, so that crashes and cuts fall between chunks.
    private func stream(
        _ description: Message, _ source: any SnapshotSource, _ sink: any SnapshotSink,
        _ completion: @escaping @Sendable (Bool) -> Void
    ) {
        queue.schedule(after: delay()) { [self] in
            let isBroken =
                isCut(description.from, description.to) || !receivers.contains { $0.node == description.to }
                || !receivers.contains { $0.node == description.from }
                || (conditions.snapshotLossOneIn > 0 && queue.random.oneIn(conditions.snapshotLossOneIn))
            guard !isBroken else {
                sink.abort()
                return completion(false)
            }
            do {
                if let chunk = try source.nextChunk() {
                    try sink.write(chunk)
                    stream(description, source, sink, completion)
                } else {
                    try sink.finish()
                    completion(true)
                }
            } catch {
                sink.abort()
                completion(false)
            }
        }
    }
}

/// One simulated member's way to the others.
package final class SimulatedTransport: PeerTransport, @unchecked Sendable {
    private let network: SimulatedNetwork

    package init(network: SimulatedNetwork) { self.network = network }

    package func send(_ messages: [Message]) { for message in messages { network.send(message) } }

    package func sendSnapshot(
        _ description: Message, from source: any SnapshotSource, completion: @escaping @Sendable (Bool) -> Void
    ) {
        network.sendSnapshot(description, from: source, completion: completion)
    }

    package func setPeers(_ peers: [PeerAddress]) {}

    package func stop() {}
}

extension Message {
    fileprivate var isProposal: Bool { if case .propose = body { true } else { false } }
}
