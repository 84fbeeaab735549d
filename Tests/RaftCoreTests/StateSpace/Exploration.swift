@testable import RaftCore

/// All states of a model that can be reached within its bounds, breadth first: so the way to the first violation that
/// is found is one of the shortest.
///
/// A state that was met is remembered by a digest of 128 bits. With n states the odds that two of them ever shared one,
/// and a state was passed over, are about n²/2¹²⁹: for a hundred million states, one in 10²².
struct Exploration {
    struct Report {
        var states = 0
        var transitions = 0
        /// Steps that led beyond the bound on terms.
        var cutOff = 0
        /// The number of steps to the states that are farthest away.
        var depth = 0
        /// Every state within the bounds was met.
        var isComplete = false
        var memberStates = 0
        var memberSteps = 0
        var violation: String?
        /// The steps to the violation, one a line.
        var path: [String] = []
    }

    private var cluster: ModelCluster
    private var met = DigestTable()
    private var parents: [UInt32] = []

    init(_ model: Model) { cluster = ModelCluster(model) }

    static func run(_ model: Model, onLevel: (Int, Report) -> Void = { _, _ in }) -> Report {
        var exploration = Exploration(model)
        return exploration.run(onLevel)
    }

    private mutating func run(_ onLevel: (Int, Report) -> Void) -> Report {
        var report = Report()
        // States of one depth, one behind the other, each with its length before it.
        var level: [UInt32] = []
        var nextLevel: [UInt32] = []
        var firstOfLevel: UInt32 = 0
        let start = cluster.initial
        _ = met.insert(StateDigest(of: start))
        parents.append(0)
        level.append(UInt32(start.count))
        level += start
        var state: [UInt32] = []
        var next: [UInt32] = []
        var steps: [Step] = []
        let model = cluster.model
        explore: while !level.isEmpty, report.depth < model.depthMax {
            var at = 0
            var number = firstOfLevel
            firstOfLevel = UInt32(parents.count)
            nextLevel.removeAll(keepingCapacity: true)
            while at < level.count {
                let length = Int(level[at])
                state.removeAll(keepingCapacity: true)
                state.append(contentsOf: level[(at + 1)...(at + length)])
                at += 1 + length
                cluster.steps(from: state, into: &steps)
                for step in steps {
                    report.transitions += 1
                    switch cluster.take(step, from: state, into: &next) {
                    case .same: continue
                    case .outOfBounds: report.cutOff += 1
                    case .violation(let reason):
                        report.violation = reason
                        report.path = path(to: number, then: step)
                        report.depth = report.path.count
                        break explore
                    case .new:
                        guard met.insert(StateDigest(of: next)) else { continue }
                        parents.append(number)
                        nextLevel.append(UInt32(next.count))
                        nextLevel.append(contentsOf: next)
                    }
                }
                number += 1
                if parents.count >= model.statesMax { break explore }
            }
            swap(&level, &nextLevel)
            if level.isEmpty { report.isComplete = true } else { report.depth += 1 }
            note(&report)
            onLevel(report.depth, report)
        }
        note(&report)
        return report
    }

    private func note(_ report: inout Report) {
        report.states = parents.count
        report.memberStates = cluster.world.memberStates
        report.memberSteps = cluster.world.memberSteps
    }

    /// Only the states' digests are kept: the way is walked again from the start, each time to the successor whose
    /// digest is the right one.
    private mutating func path(to last: UInt32, then step: Step) -> [String] {
        var way = [last]
        while let first = way.last, first != 0 { way.append(parents[Int(first)]) }
        way.reverse()
        var lines: [String] = []
        var state = cluster.initial
        var next: [UInt32] = []
        var steps: [Step] = []
        for number in way.dropFirst() {
            let digest = met[Int(number)]
            cluster.steps(from: state, into: &steps)
            for candidate in steps {
                guard case .new = cluster.take(candidate, from: state, into: &next), StateDigest(of: next) == digest
                else { continue }
                lines.append(line(candidate, next))
                break
            }
            state = next
        }
        lines.append(cluster.describe(step))
        return lines
    }

    private func line(_ step: Step, _ state: [UInt32]) -> String {
        cluster.describe(step) + "\n        " + cluster.describe(member: state[step.member])
    }
}

/// Two halves that are mixed differently, word by word, with the finisher of splitmix64 and multipliers of their own.
struct StateDigest: Equatable {
    var low: UInt64
    var high: UInt64

    init(of words: borrowing [UInt32]) {
        low = 0x243F_6A88_85A3_08D3
        high = 0x1319_8A2E_0370_7344
        for place in 0..<words.count {
            low = Self.mixed(low ^ UInt64(words[place]), 0xBF58_476D_1CE4_E5B9)
            high = Self.mixed(high &+ UInt64(words[place]) &* 0x9E37_79B9_7F4A_7C15, 0x94D0_49BB_1331_11EB)
        }
        low = Self.mixed(low ^ UInt64(words.count), 0x94D0_49BB_1331_11EB)
        high = Self.mixed(high &+ UInt64(words.count), 0xBF58_476D_1CE4_E5B9)
    }

    @inline(__always)
    private static func mixed(_ value: UInt64, _ multiplier: UInt64) -> UInt64 {
        var value = value &+ 0x9E37_79B9_7F4A_7C15
        value = (value ^ (value >> 30)) &* multiplier
        value = (value ^ (value >> 27)) &* 0xFF51_AFD7_ED55_8CCD
        return value ^ (value >> 31)
    }
}

/// Digests in the order in which they came, and whether one is there: open addressing, at most two thirds full.
struct DigestTable {
    private var digests: [StateDigest] = []
    /// Places in `digests`, from one; zero is free.
    private var slots: [UInt32] = Array(repeating: 0, count: 1 << 12)

    subscript(place: Int) -> StateDigest { digests[place] }

    /// False if it was there.
    mutating func insert(_ digest: StateDigest) -> Bool {
        if digests.count * 3 >= slots.count * 2 { grow() }
        var slot = Int(truncatingIfNeeded: digest.low) & (slots.count - 1)
        while slots[slot] != 0 {
            if digests[Int(slots[slot]) - 1] == digest { return false }
            slot = (slot + 1) & (slots.count - 1)
        }
        digests.append(digest)
        slots[slot] = UInt32(digests.count)
        return true
    }

    private mutating func grow() {
        slots = Array(repeating: 0, count: slots.count * 2)
        for place in digests.indices {
            var slot = Int(truncatingIfNeeded: digests[place].low) & (slots.count - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = UInt32(place + 1)
        }
    }
}
