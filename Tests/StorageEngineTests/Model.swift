/// Rows in key order, kept in the plainest way.
struct SortedModel {
    var rows: [(key: [UInt8], value: [UInt8]?)] = []

    var isEmpty: Bool { rows.isEmpty }

    func lowerBound(_ key: [UInt8]) -> Int {
        var low = 0
        var high = rows.count
        while low < high {
            let middle = (low + high) / 2
            if rows[middle].key.lexicographicallyPrecedes(key) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func index(_ key: [UInt8]) -> Int? {
        let index = lowerBound(key)
        return index < rows.count && rows[index].key == key ? index : nil
    }

    func value(_ key: [UInt8]) -> [UInt8]? { index(key).flatMap { rows[$0].value } }

    mutating func set(_ key: [UInt8], _ value: [UInt8]?) {
        if let index = index(key) {
            rows[index].value = value
        } else {
            rows.insert((key, value), at: lowerBound(key))
        }
    }

    mutating func remove(_ key: [UInt8]) -> Bool {
        guard let index = index(key) else { return false }
        rows.remove(at: index)
        return true
    }
}

/// Sebastiano Vigna's splitmix64: small, seeded, the same everywhere.
struct SplitMix {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
}

/// Keys of the shapes that search can go wrong on: shared prefixes, prefixes of each other, zero bytes at the end.
struct KeyMaker {
    let shape: Int

    func make(_ random: inout SplitMix) -> [UInt8] {
        switch shape {
        case 0: return random.bytes(random.below(5))
        case 1: return Array("/registry/pods/default/".utf8) + number(random.below(2000))
        case 2: return (0..<random.below(14)).map { _ in UInt8(random.below(2)) }
        default:
            let name = Array("name-\(random.below(40))".utf8)
            return name + [0] + number(random.below(100)).map { ~$0 } + [UInt8](repeating: 0, count: random.below(3))
        }
    }
}

/// 8 bytes, most significant first.
func number(_ value: Int) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) }
}
