// A state machine in the simulated world: whole clusters of it, with crashes, power cuts and networks that fail, in
// virtual time.
//
//     swift run simulated-counter          a right one survives 50 seeds; a wrong one is found, and why
//     swift run simulated-counter 7        the right one in seed 7 alone
import Raft
import RaftSimulation

/// A till. A customer who does not know whether a payment was taken pays again under the same number, which counts
/// once.
struct Till: StateMachine, Equatable {
    /// The mistake: its snapshots do not hold the numbers. As long as no member is restarted, nobody will notice.
    var forgetsNumbers = false
    var sum = 0
    var numbers: Set<UInt16> = []

    struct Payment {
        var number: UInt16
        var amount: UInt8
    }

    mutating func apply(_ command: [UInt8], at index: LogIndex) throws -> Int {
        guard let payment = Payment(command) else { throw CommandRejected("no payment") }
        if numbers.insert(payment.number).inserted { sum += Int(payment.amount) }
        return sum
    }

    func snapshot() throws -> StateSnapshot {
        let kept = forgetsNumbers ? [] : numbers.sorted()
        return StateSnapshot(Array(([String(sum)] + kept.map { String($0) }).joined(separator: " ").utf8))
    }

    mutating func restore(from snapshot: SnapshotReader) throws {
        let words = String(decoding: try snapshot.readAll(), as: UTF8.self).split(separator: " ")
        sum = words.first.flatMap { Int($0) } ?? 0
        numbers = Set(words.dropFirst().compactMap { UInt16($0) })
    }
}

extension Till.Payment {
    init?(_ bytes: [UInt8]) {
        guard bytes.count == 3 else { return nil }
        self.init(number: UInt16(bytes[0]) << 8 | UInt16(bytes[1]), amount: bytes[2])
    }

    var bytes: [UInt8] { [UInt8(number >> 8), UInt8(number & 0xff), amount] }
}

/// What clients propose: payments, some of them again.
func pay(_ random: inout SimulationRandom) -> [UInt8] {
    let number = UInt16.random(in: 0..<2_000, using: &random)
    return Till.Payment(number: number, amount: UInt8(1 + number % 9)).bytes
}

/// Our own check, beside those that are always made: every payment that was applied is in the till, once.
func checkSum(_ history: ClusterHistory<Till>) throws {
    var paid: [UInt16: Int] = [:]
    for case let payment? in history.applied.map({ Till.Payment($0.command) }) {
        paid[payment.number] = Int(payment.amount)
    }
    let sum = paid.values.reduce(0, +)
    for till in history.machines where till.sum != sum { throw CheckFailed("\(till.sum) in the till, \(sum) paid") }
}

if let seed = CommandLine.arguments.dropFirst().first.flatMap({ UInt64($0) }) {
    print(ClusterSimulation.run(seed: seed, machine: { Till() }, command: pay, check: checkSum))
} else {
    let right = ClusterSimulation.run(seeds: 1...50, machine: { Till() }, command: pay, check: checkSum)
    print("the right till: \(right)")

    let wrong = ClusterSimulation.run(seeds: 1...50) {
        $0.members = 3
        $0.duration = .seconds(10)
    } machine: {
        Till(forgetsNumbers: true)
    } command: {
        pay(&$0)
    } check: {
        try checkSum($0)
    }
    print("the wrong till: \(wrong)")
}
