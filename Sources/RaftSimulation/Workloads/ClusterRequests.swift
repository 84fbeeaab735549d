import MVCC
import Platform
import Raft
import RaftCore
import Replica

/// Requests of clients that lose patience: they are told nil, and nobody knows what becomes of what they asked for.
struct ClusterRequests {
    unowned let cluster: SimulatedCluster
    var patienceNanoseconds: UInt64

    /// A member of the cluster that runs.
    func door(_ random: inout RandomSource) -> SimulatedMember? {
        let running = cluster.members.filter { cluster.isPresent($0) && $0.isRunning }
        return running.isEmpty ? nil : running[random.below(running.count)]
    }

    func propose(_ command: Command, through member: SimulatedMember?, _ done: @escaping (Outcome?) -> Void) {
        var payload = CommandCodec.encode(command, prefixBytes: ProposalID.encodedBytes + 1)
        payload[ProposalID.encodedBytes] = CommandRoom.keyValue.rawValue
        propose(payload, through: member) { result in
            guard case .keyValue(let outcome)? = result else { return done(nil) }
            done(outcome)
        }
    }

    func propose(_ command: LeaseCommand, through member: SimulatedMember?, _ done: @escaping (LeaseOutcome?) -> Void) {
        var payload = LeaseCommandCodec.encode(command, prefixBytes: ProposalID.encodedBytes + 1)
        payload[ProposalID.encodedBytes] = CommandRoom.lease.rawValue
        propose(payload, through: member) { result in
            guard case .lease(let outcome)? = result else { return done(nil) }
            done(outcome)
        }
    }

    private func propose(
        _ payload: [UInt8], through member: SimulatedMember?, _ done: @escaping (ReplicaResult?) -> Void
    ) {
        let finish = call(done)
        guard let node = member?.node else { return }
        let sink = SimulatedSink<ReplicaResult> { finish(try? $0.get()) }
        node.propose(CommandProposal(payload: payload, ticket: Ticket(sink: sink, token: 0)))
    }

    /// A linearizable read.
    func read(through member: SimulatedMember?, _ done: @escaping (ReadView?) -> Void) {
        let finish = call(done)
        guard let node = member?.node else { return }
        let sink = SimulatedSink<ReplicaView> { finish(try? $0.get().store) }
        node.read(Ticket(sink: sink, token: 0))
    }

    /// Answers once: with what comes first, or with nothing when the patience is at its end.
    private func call<Answer>(_ done: @escaping (Answer?) -> Void) -> (Answer?) -> Void {
        var isOpen = true
        let finish: (Answer?) -> Void = { answer in
            guard isOpen else { return }
            isOpen = false
            done(answer)
        }
        cluster.queue.schedule(after: patienceNanoseconds) { finish(nil) }
        return finish
    }
}
