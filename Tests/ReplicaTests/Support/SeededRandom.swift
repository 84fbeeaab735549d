import MVCC

/// The same numbers for the same seed, on every machine.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1 }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
    mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }
    mutating func pick<T>(_ choices: [T]) -> T { choices[int(0...choices.count - 1)] }

    /// Short keys over three letters, so that ranges meet.
    mutating func key() -> [UInt8] { (0..<int(1...3)).map { _ in UInt8(97 + int(0...2)) } }

    mutating func range() -> KeyRange {
        switch int(0...5) {
        case 0, 1: return KeyRange(key: key())
        case 2: return KeyRange(key: key(), end: .fromKey)
        default:
            let (a, b) = (key(), key())
            guard a != b else { return KeyRange(key: a) }
            return precedes(a, b) ? KeyRange(key: a, end: .upTo(b)) : KeyRange(key: b, end: .upTo(a))
        }
    }
}
