package import Platform
import PlatformSimulation
import RaftCore

/// One thing that goes wrong, or that an operator does meanwhile. All of a seed's are drawn before it is played, each
/// with a seed of its own, so that one can be left out without changing the others: that is how a failing schedule is
/// shortened.
package struct Misfortune: Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        // Processes.
        case kill, powerCut, powerCutWhileWriting, powerCutOfAll, pause, killOfNewLeader, crashLoop
        // What follows an occasion: somebody lies in wait for it.
        case afterCandidacy, afterElection, afterVote, afterHandover, afterConfiguration, afterSnapshot, afterFlush
        case afterStart
        // Those that several things make, one after the other.
        case leadersInTurn, slowCandidate, lateFollowers, restartsBehindLeader
        // The network.
        case isolation, deafness, muteness, split, badNetwork
        // Disks.
        case slowDisk, failingWrite, failingSynchronize, failingRead, fullDisk
        case rotInLog, rotInEngine
        // What an operator does.
        case membership, transfer
    }

    package var kind: Kind
    /// From the start of the play, in nanoseconds.
    package var time: UInt64
    /// For everything about it that is drawn when it happens: whom it meets, how long it lasts.
    package var seed: UInt64

    package init(_ kind: Kind, at time: UInt64, seed: UInt64) {
        self.kind = kind
        self.time = time
        self.seed = seed
    }

    /// Draws a schedule of these kinds. Of a few kinds there is one at most.
    package static func schedule(
        of kinds: [Kind], until end: UInt64, paceNanoseconds: UInt64, drawing random: inout RandomSource
    ) -> [Misfortune] {
        var schedule: [Misfortune] = []
        guard !kinds.isEmpty else { return [] }
        if kinds.contains(.badNetwork) { schedule.append(Misfortune(.badNetwork, at: 1, seed: random.next())) }
        var time: UInt64 = 0
        while true {
            time += 1_000_000 + random.next() % paceNanoseconds
            if time >= end { return schedule }
            schedule.append(Misfortune(kinds[random.below(kinds.count)], at: time, seed: random.next()))
        }
    }
}
