import RaftCore

/// Answers for what other members have passed on to this one and it has not taken: proposals go back to those who made
/// them, whose ids they carry, whoever passed them on last.
struct ForwardAnswers {
    private(set) var messages: [Message] = []
    private let own: NodeID

    init(_ refused: RefusedForward, from sender: NodeID, own: NodeID) {
        self.own = own
        switch refused {
        case .transfer(let target, let reason): add(.transferRefused(to: target, reason: reason), to: sender)
        case .configurationChange(let proposal, let reason):
            guard let id = Self.id(of: proposal) else { return }
            add(.configurationChangeRefused(id.sequence, reason: reason), to: id.origin)
        case .proposals(let proposals, let reason):
            // Runs of one origin: nearly always all of them.
            var run: (origin: NodeID, numbers: [UInt64])?
            for proposal in proposals {
                guard let id = Self.id(of: proposal) else { continue }
                if run?.origin == id.origin {
                    run?.numbers.append(id.sequence)
                } else {
                    if let run { add(.proposalsRefused(run.numbers, reason: reason), to: run.origin) }
                    run = (id.origin, [id.sequence])
                }
            }
            if let run { add(.proposalsRefused(run.numbers, reason: reason), to: run.origin) }
        }
    }

    private mutating func add(_ answer: ForwardAnswer, to node: NodeID) {
        messages.append(Message(from: own, to: node, term: .zero, body: .forwardAnswer(answer)))
    }

    private static func id(of proposal: Proposal) -> ProposalID? {
        switch proposal.kind {
        case .command: return proposal.payload.withUnsafeBytes { ProposalID(reading: $0) }
        case .configuration:
            do throws(ConfigurationDecodingError) {
                return try ConfigurationChange(decoding: proposal.payload).context.withUnsafeBytes {
                    ProposalID(reading: $0)
                }
            } catch {
                // Nobody of ours made it.
                return nil
            }
        }
    }
}
