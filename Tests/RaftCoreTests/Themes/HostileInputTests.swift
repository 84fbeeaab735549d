import Testing

@testable import RaftCore

@Suite struct `Messages that make no sense` {
    @Test func `are passed over, with a trace`() {
        func message(_ body: Message.Body, from: UInt64 = 2, to: UInt64 = 1, term: UInt64 = 5) -> Message {
            Message(from: NodeID(from), to: NodeID(to), term: Term(term), body: body)
        }
        let gap = AppendEntries(
            previousIndex: .zero, previousTerm: .zero, commit: .zero, entries: entries([5], from: 2))
        let falling = AppendEntries(
            previousIndex: .zero, previousTerm: .zero, commit: .zero, entries: entries([5, 4], from: 1))
        let future = AppendEntries(
            previousIndex: .zero, previousTerm: .zero, commit: .zero, entries: entries([6], from: 1))
        let broken = SnapshotDescription(
            index: LogIndex(9), term: Term(5),
            configuration: Configuration(voters: [NodeID(1)], learners: [NodeID(1)]))
        let cases: [Message] = [
            message(.timeoutNow, to: 3), message(.timeoutNow, from: 1), message(.timeoutNow, from: 0),
            message(.timeoutNow, term: 0), message(.timeoutNow, term: .max), message(.appendEntries(gap)),
            message(.appendEntries(falling)), message(.appendEntries(future)), message(append(after: (9, 3))),
            message(append(after: (5, .max), [5])), message(append(after: (0, 0)), term: 0),
            message(.installSnapshot(broken)), message(accepted(1), from: 8),
            message(rejected(.max, hint: 0, term: 0)), message(rejected(3, hint: .max, term: 1)),
            message(.heartbeat(Heartbeat(commit: LogIndex(99), readSequence: 0))),
            message(.vote(voteRequest((9, 9)))), message(.vote(voteRequest((0, 0))), term: 0),
            message(.readIndexReply(ReadID(1), LogIndex(.max))),
            message(.voteReply(VoteReply(isGranted: true)), from: 9),
        ]
        for each in cases {
            var node = Lone(log: [1, 1], term: 5)
            let effects = node.step(.received(each))
            #expect(effects.ignored.count == 1, "\(each)")
            #expect(effects.messages.isEmpty, "\(each)")
            #expect(node.core.lastIndex == LogIndex(2))
            #expect(node.core.currentTerm == Term(5))
        }
    }

    @Test func `a leader passes over what its followers cannot have meant`() {
        var node = Lone()
        node.lead()
        #expect(node.receive(accepted(50), term: 1).ignored.count == 1)
        #expect(node.core.commitIndex == .zero)
        #expect(node.receive(append(after: (0, 0), [1]), term: 1).ignored.count == 1)
        #expect(node.receive(rejected(99, hint: 98, term: 7), term: 1).messages.isEmpty)
        #expect(node.core.currentRole == .leader)
    }

    /// Whatever arrives, in whatever role: no step may stop the process (it would stop this test), and what is
    /// committed stays.
    @Test func `no message stops a node`() {
        var random = SplitMix64(seed: 11)
        func below(_ bound: UInt64) -> UInt64 { random.next() % bound }
        func number() -> UInt64 { below(12) == 0 ? [0, .max, .max / 2, 1 << 62, 1 << 40][Int(below(5))] : below(9) }
        func configuration() -> Configuration {
            func ids() -> [NodeID] { (0..<below(3)).map { _ in NodeID(below(5)) } }
            return Configuration(
                voters: ids(), outgoingVoters: ids(), learners: ids(), nextLearners: ids(),
                leavesAutomatically: below(2) == 0)
        }
        func someEntries(after index: UInt64) -> [Entry] {
            let terms = (0..<below(4)).map { _ in number() }.sorted()
            return entries(terms, from: below(6) == 0 ? number() & ~(1 << 63) : (index & 0xffff) + 1)
        }
        func body() -> Message.Body {
            switch below(14) {
            case 0...3:
                let index = number()
                return .appendEntries(
                    AppendEntries(
                        previousIndex: LogIndex(index), previousTerm: Term(number()), commit: LogIndex(number()),
                        entries: someEntries(after: index)))
            case 4: return accepted(number())
            case 5: return rejected(number(), hint: number(), term: number())
            case 6: return .heartbeat(Heartbeat(commit: LogIndex(number()), readSequence: number()))
            case 7: return .heartbeatReply(HeartbeatReply(readSequence: number()))
            case 8:
                let request = voteRequest((number(), number()), transfer: below(2) == 0)
                return below(2) == 0 ? .vote(request) : .preVote(request)
            case 9:
                let reply = VoteReply(isGranted: below(2) == 0)
                return below(2) == 0 ? .voteReply(reply) : .preVoteReply(reply)
            case 10:
                return .installSnapshot(
                    SnapshotDescription(
                        index: LogIndex(number()), term: Term(number()), configuration: configuration()))
            case 11:
                let bytes = (0..<below(6)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                return .propose([Proposal(kind: below(2) == 0 ? .command : .configuration, payload: bytes)])
            case 12:
                return below(2) == 0
                    ? .readIndex(ReadID(number())) : .readIndexReply(ReadID(number()), LogIndex(number()))
            default: return below(2) == 0 ? .timeoutNow : .transferLeadership(to: NodeID(number()))
            }
        }
        for seed in 0..<400 as Range<UInt64> {
            var node = Lone(log: [1, 1, 2], term: 2, commit: 1) {
                $0.preVote = seed & 1 != 0
                $0.checkQuorum = seed & 2 != 0
                $0.randomSeed = seed
            }
            var commit = LogIndex.zero
            for _ in 0..<150 {
                let to = below(20) == 0 ? number() : 1
                let message = Message(from: NodeID(number()), to: NodeID(to), term: Term(number()), body: body())
                node.step(.received(message), persisting: below(3) > 0)
                if below(10) == 0 { node.step(.campaign) }
                if below(5) == 0 { node.step(.tick) }
                if below(10) == 0, node.core.released > node.core.applied { node.step(.applied(node.core.released)) }
                #expect(node.core.commitIndex >= commit)
                commit = node.core.commitIndex
            }
        }
    }
}
