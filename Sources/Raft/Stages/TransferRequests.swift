package import RaftCore

/// What became of a transfer of leadership, for whoever asked for it on this node.
package enum TransferConclusion: Hashable, Sendable {
    /// It was not begun.
    case refused(TransferRefusal)
    /// It was begun, and whoever led leads on, or lost leadership in another way.
    case ended(to: NodeID, TransferOutcome)
    /// A new leader is known: the target, most likely.
    case leads(NodeID)
}

/// Those who wait for transfers of leadership to end: callers of this node, and members whose requests it has, as the
/// leader, been passed.
struct TransferRequests {
    /// Further ones are refused, or, where a member asked, not answered.
    private static let waitingMax = 256

    private struct Caller {
        /// nil for the best.
        var target: NodeID?
        var ticket: Ticket<TransferConclusion>
        /// The term that it was asked for in. A leader of a later one is what it waits for.
        var term: Term
        var deadline: UInt64
    }

    private var callers: [Caller] = []
    private var members: [(id: NodeID, target: NodeID?)] = []
    private var replies = ReplyBatch<TransferConclusion>()

    var isEmpty: Bool { callers.isEmpty && members.isEmpty }

    /// - Returns: false if too many wait already.
    mutating func add(
        _ ticket: Ticket<TransferConclusion>, target: NodeID?, term: Term, deadline: UInt64
    ) -> Bool {
        guard callers.count < Self.waitingMax else { return false }
        callers.append(Caller(target: target, ticket: ticket, term: term, deadline: deadline))
        return true
    }

    mutating func add(member: NodeID, target: NodeID?) {
        guard members.count < Self.waitingMax, !members.contains(where: { $0 == (member, target) }) else { return }
        members.append((member, target))
    }

    mutating func refused(_ target: NodeID?, _ reason: TransferRefusal) {
        // One that joins another one has the same end.
        guard reason != .alreadyUnderWay else { return }
        conclude(.refused(reason)) { $0.target == target }
    }

    /// - Returns: the members that asked for it.
    mutating func ended(_ target: NodeID, _ outcome: TransferOutcome) -> [NodeID] {
        let asked = members.filter { $0.target == target || $0.target == nil }.map(\.id)
        members.removeAll { $0.target == target || $0.target == nil }
        // Whoever leads now is waited for.
        guard outcome != .handedOver else { return [] }
        conclude(.ended(to: target, outcome)) { $0.target == target || $0.target == nil }
        return asked
    }

    mutating func leads(_ leader: NodeID, in term: Term) {
        guard !isEmpty else { return }
        conclude(.leads(leader)) { $0.term < term }
    }

    mutating func expire(now: UInt64) {
        guard callers.contains(where: { now >= $0.deadline }) else { return }
        for caller in callers where now >= caller.deadline { replies.add(caller.ticket, .failure(.timedOut)) }
        callers.removeAll { now >= $0.deadline }
        replies.flush()
    }

    mutating func stop() {
        for caller in callers { replies.add(caller.ticket, .failure(.stopped)) }
        callers = []
        members = []
        replies.flush()
    }

    private mutating func conclude(_ conclusion: TransferConclusion, where isMeant: (Caller) -> Bool) {
        for caller in callers where isMeant(caller) { replies.add(caller.ticket, .success(conclusion)) }
        callers.removeAll(where: isMeant)
        replies.flush()
    }
}
