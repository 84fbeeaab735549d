import Platform
import RaftCore

/// Messages of every shape, from a seed.
struct MessageSamples {
    var random: RandomSource

    init(seed: UInt64) { random = RandomSource(seed: seed) }

    /// Small and large numbers alike: varints of every length.
    mutating func number() -> UInt64 { random.next() >> UInt64(random.below(64)) }

    mutating func bytes(upTo limit: Int) -> [UInt8] {
        (0..<random.below(limit + 1)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    mutating func nodes() -> [NodeID] { Set((0..<random.below(5)).map { _ in NodeID(number()) }).sorted() }

    mutating func entries() -> [Entry] {
        var index = number()
        var term = number()
        return (0..<random.below(6)).map { _ in
            if random.oneIn(4) { index = number() } else { index &+= 1 }
            if random.oneIn(4) { term = number() }
            return Entry(
                index: LogIndex(index), term: Term(term), kind: random.oneIn(3) ? .configuration : .command,
                payload: bytes(upTo: 200))
        }
    }

    mutating func vote() -> VoteRequest {
        VoteRequest(lastIndex: LogIndex(number()), lastTerm: Term(number()), isTransfer: random.oneIn(2))
    }

    mutating func body(_ shape: Int) -> Message.Body {
        switch shape {
        case 0:
            let entries = entries()
            let isContiguous = random.oneIn(2)
            return .appendEntries(
                AppendEntries(
                    previousIndex: isContiguous ? entries.first?.index.previous ?? .zero : LogIndex(number()),
                    previousTerm: Term(number()), commit: LogIndex(number()), entries: entries))
        case 1: return .appendEntriesReply(AppendEntriesReply(index: LogIndex(number()), outcome: .accepted))
        case 2:
            return .appendEntriesReply(
                AppendEntriesReply(
                    index: LogIndex(number()),
                    outcome: .rejected(hintIndex: LogIndex(number()), hintTerm: Term(number()))))
        case 3: return .heartbeat(Heartbeat(commit: LogIndex(number()), readSequence: number()))
        case 4: return .heartbeatReply(HeartbeatReply(readSequence: number()))
        case 5: return .vote(vote())
        case 6: return .voteReply(VoteReply(isGranted: random.oneIn(2)))
        case 7: return .preVote(vote())
        case 8: return .preVoteReply(VoteReply(isGranted: random.oneIn(2)))
        case 9:
            return .installSnapshot(
                SnapshotDescription(
                    index: LogIndex(number()), term: Term(number()),
                    configuration: Configuration(
                        voters: nodes(), outgoingVoters: nodes(), learners: nodes(), nextLearners: nodes(),
                        leavesAutomatically: random.oneIn(2))))
        case 10:
            return .propose(
                (0..<random.below(5)).map { _ in
                    Proposal(kind: random.oneIn(3) ? .configuration : .command, payload: bytes(upTo: 100))
                })
        case 11: return .readIndex(ReadID(rawValue: number()))
        case 12: return .readIndexReply(ReadID(rawValue: number()), LogIndex(number()))
        case 13: return .timeoutNow
        case 14: return .transferLeadership(to: NodeID(number()))
        default: return .forwardAnswer(answer())
        }
    }

    static let shapes = 16

    mutating func answer() -> ForwardAnswer {
        switch random.below(4) {
        case 0:
            let reasons: [RefusalReason] = [
                .noLeader, .transferring, .tooManyUncommitted, .notMember, .forwardingDisabled, .tooManyReads,
            ]
            return .proposalsRefused(
                (0..<random.below(5)).map { _ in number() }, reason: reasons[random.below(reasons.count)])
        case 1:
            let reasons: [ConfigurationRefusal] = [
                .undecodable("why"), .pending(at: LogIndex(number()), applied: LogIndex(number())), .isJoint,
                .isNotJoint, .removesAllVoters, .unknownMembers(nodes()), .losesQuorum(silent: nodes()),
                .impossible("more than one voter changed without entering joint config"), .notCaughtUp(nodes()),
            ]
            return .configurationChangeRefused(number(), reason: reasons[random.below(reasons.count)])
        case 2:
            let reasons: [TransferRefusal] = [
                .noLeader, .notVoter, .alreadyLeader, .alreadyUnderWay, .nobodySuitable, .leaderRemoved,
            ]
            return .transferRefused(
                to: random.oneIn(2) ? nil : NodeID(number() | 1), reason: reasons[random.below(reasons.count)])
        default:
            let outcomes: [TransferOutcome] = [.handedOver, .timedOut, .targetRemoved, .superseded, .leadershipLost]
            return .transferEnded(to: NodeID(number()), outcome: outcomes[random.below(outcomes.count)])
        }
    }

    mutating func message(_ shape: Int) -> Message {
        Message(from: NodeID(number()), to: NodeID(number()), term: Term(number()), body: body(shape))
    }

    mutating func message() -> Message { message(random.below(Self.shapes)) }
}
