/// How an election stands.
enum VoteOutcome: Sendable {
    case won, pending, lost
}

/// A set of voters that decides by majority (§5.2, §5.4). The empty set agrees with everything, so that it can be the
/// absent half of a ``JointQuorum``.
struct MajorityQuorum: Sendable {
    /// Sorted, free of repetition.
    var voters: [NodeID]

    /// Up to this many voters, nothing is allocated for counting.
    private static let inlineVoters = 9

    /// The greatest value that a majority has reached; `UInt64.max` where there are no voters. A voter without a value
    /// stands at zero.
    @inline(__always)
    func reached(_ value: (NodeID) -> UInt64?) -> UInt64 {
        let count = voters.count
        guard count > 0 else { return .max }
        // Ascending order; a majority stands at or above the element that many places from the end.
        let place = count - (count / 2 + 1)
        guard count <= Self.inlineVoters else {
            return voters.map { value($0) ?? 0 }.sorted()[place]
        }
        var sorted = InlineArray<9, UInt64>(repeating: 0)
        for filled in 0..<count {
            let new = value(voters[filled]) ?? 0
            var at = filled
            while at > 0, sorted[at - 1] > new {
                sorted[at] = sorted[at - 1]
                at -= 1
            }
            sorted[at] = new
        }
        return sorted[place]
    }

    func outcome(_ vote: (NodeID) -> Bool?) -> VoteOutcome {
        guard !voters.isEmpty else { return .won }
        var granted = 0
        var missing = 0
        for voter in voters {
            switch vote(voter) {
            case true?: granted += 1
            case false?: break
            case nil: missing += 1
            }
        }
        let needed = voters.count / 2 + 1
        if granted >= needed { return .won }
        return granted + missing >= needed ? .pending : .lost
    }
}
