/// A small seeded generator (xoshiro256**, seeded by SplitMix64): the same seed, the same numbers, on every machine.
package struct RandomSource: RandomNumberGenerator, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    package init(seed: UInt64) {
        var word = seed
        func nextWord() -> UInt64 {
            word &+= 0x9E37_79B9_7F4A_7C15
            var mixed = word
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
        state = (nextWord(), nextWord(), nextWord(), nextWord())
    }

    package mutating func next() -> UInt64 {
        func rotated(_ value: UInt64, by count: UInt64) -> UInt64 { (value << count) | (value >> (64 - count)) }
        let result = rotated(state.1 &* 5, by: 7) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = rotated(state.3, by: 45)
        return result
    }

    /// A number in `0 ..< bound`.
    package mutating func below(_ bound: Int) -> Int {
        precondition(bound > 0, "a bound of \(bound)")
        return Int(next() % UInt64(bound))
    }

    /// True once in `n` times.
    package mutating func oneIn(_ n: Int) -> Bool { below(n) == 0 }

    /// A stream of its own, for a part that must not disturb the others' numbers.
    package mutating func fork() -> RandomSource { RandomSource(seed: next()) }
}
