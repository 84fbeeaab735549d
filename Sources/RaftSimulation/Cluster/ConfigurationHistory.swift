package import RaftCore

/// The configurations that have been in force, by the place in the log from which on they were: looked at whether all
/// members agree on them, and whether each and the next could ever decide against each other.
package struct ConfigurationHistory {
    package private(set) var steps: [(index: LogIndex, configuration: Configuration)]

    package init(first configuration: Configuration, at index: LogIndex) { steps = [(index, configuration)] }

    package var newest: Configuration { steps[steps.count - 1].configuration }
    package var newestIndex: LogIndex { steps[steps.count - 1].index }

    /// What was in force once everything up to `index` was applied.
    package func inForce(at index: LogIndex) -> Configuration? {
        steps.last { $0.index <= index }?.configuration
    }

    /// - Returns: what is wrong with it.
    package mutating func note(_ configuration: Configuration, at index: LogIndex) -> String? {
        if let known = steps.first(where: { $0.index == index }) {
            return known.configuration == configuration
                ? nil : "entry \(index.rawValue) led to \(configuration), elsewhere to \(known.configuration)"
        }
        guard index > newestIndex else {
            return "entry \(index.rawValue) led to \(configuration), elsewhere to no new configuration"
        }
        if let reason = configuration.inconsistency { return "configuration \(configuration): \(reason)" }
        let before = newest
        steps.append((index, configuration))
        if let (one, other) = Self.disjointQuorums(before, configuration) {
            return "from \(before) to \(configuration) at entry \(index.rawValue): \(one) can decide by the former "
                + "and \(other) by the latter, with nobody in common"
        }
        return nil
    }

    /// Two sets of members without one in common, the first a quorum of `a`, the second one of `b`: by trying all.
    package static func disjointQuorums(_ a: Configuration, _ b: Configuration) -> ([NodeID], [NodeID])? {
        let all = Configuration(voters: a.allVoters, outgoingVoters: b.allVoters).allVoters
        precondition(all.count < 24, "\(all.count) voters are too many to try all sets of them")
        func mask(_ ids: [NodeID]) -> UInt32 {
            var bits: UInt32 = 0
            for (place, id) in all.enumerated() where ids.contains(id) { bits |= 1 << UInt32(place) }
            return bits
        }
        let halves = [a, b].map { (incoming: mask($0.voters), outgoing: mask($0.outgoingVoters)) }
        func isQuorum(_ set: UInt32, _ half: (incoming: UInt32, outgoing: UInt32)) -> Bool {
            func isMajority(_ voters: UInt32) -> Bool {
                voters == 0 || (set & voters).nonzeroBitCount > voters.nonzeroBitCount / 2
            }
            return isMajority(half.incoming) && isMajority(half.outgoing)
        }
        let everybody = (UInt32(1) << UInt32(all.count)) - 1
        for set in 0...everybody where isQuorum(set, halves[0]) && isQuorum(everybody & ~set, halves[1]) {
            func names(_ bits: UInt32) -> [NodeID] {
                all.enumerated().filter { bits & (1 << UInt32($0.offset)) != 0 }.map(\.element)
            }
            return (names(set), names(everybody & ~set))
        }
        return nil
    }
}
