import StorageEngine

/// Tables kept in the plainest way: sorted arrays.
struct Model {
    private(set) var tables = [[(key: [UInt8], value: [UInt8])]](repeating: [], count: Table.allCases.count)

    func rows(_ table: Table) -> [(key: [UInt8], value: [UInt8])] { tables[Int(table.rawValue)] }

    func lowerBound(_ table: Table, _ key: [UInt8]) -> Int {
        var low = 0
        var high = rows(table).count
        while low < high {
            let middle = (low + high) / 2
            if rows(table)[middle].key.lexicographicallyPrecedes(key) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func value(_ table: Table, _ key: [UInt8]) -> [UInt8]? {
        let index = lowerBound(table, key)
        guard index < rows(table).count, rows(table)[index].key == key else { return nil }
        return rows(table)[index].value
    }

    mutating func apply(_ batch: [Mutation]) {
        for mutation in batch {
            switch mutation {
            case .put(let table, let key, let value):
                let index = lowerBound(table, key)
                if self.value(table, key) != nil {
                    tables[Int(table.rawValue)][index].value = value
                } else {
                    tables[Int(table.rawValue)].insert((key, value), at: index)
                }
            case .delete(let table, let key):
                if value(table, key) != nil { tables[Int(table.rawValue)].remove(at: lowerBound(table, key)) }
            }
        }
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

    /// Mostly short, with shared prefixes; some empty, some at and over the longest that LMDB holds.
    mutating func key() -> [UInt8] {
        switch below(40) {
        case 0: return []
        case 1: return [UInt8](repeating: 0x61, count: 505 + below(12))
        case 2: return [UInt8](repeating: 0x61, count: 600) + bytes(1)
        case 3...12: return number(below(300))
        case 13...22: return Array("/registry/pods/".utf8) + number(below(100)) + [0] + bytes(below(2))
        default: return (0..<below(8)).map { _ in UInt8(below(3)) }
        }
    }

    mutating func value() -> [UInt8] {
        switch below(30) {
        case 0: return []
        case 1: return bytes(5000)
        default: return bytes(below(60))
        }
    }

    mutating func batch(_ model: Model) -> [Mutation] {
        (0..<1 + below(40)).map { _ in
            let table = Table.allCases[below(3)]
            if below(3) > 0 { return .put(table, key: key(), value: value()) }
            let rows = model.rows(table)
            return .delete(table, key: rows.isEmpty || below(3) == 0 ? key() : rows[below(rows.count)].key)
        }
    }
}

/// 8 bytes, most significant first.
func number(_ value: Int) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) }
}
