/// What follows from the members' hashes of one revision. They have to be the same; which are the right ones only a
/// majority of all members can tell.
enum HashJudgement: Hashable, Sendable {
    case alike
    /// A majority agrees, and these members have something else.
    case differing([UInt64])
    /// They differ, and nobody can tell who is right.
    case undecided

    /// - Parameters:
    ///   - hashes: of those who answered.
    ///   - members: how many there are in all.
    init(_ hashes: [(member: UInt64, hash: UInt32)], of members: Int) {
        guard let first = hashes.first?.hash, hashes.contains(where: { $0.hash != first }) else {
            self = .alike
            return
        }
        let right = hashes.first { candidate in
            hashes.count { $0.hash == candidate.hash } > members / 2
        }
        guard let right else {
            self = .undecided
            return
        }
        self = .differing(hashes.filter { $0.hash != right.hash }.map(\.member).sorted())
    }
}
