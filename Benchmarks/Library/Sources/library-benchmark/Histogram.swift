/// Times, exact to 3 %, in memory that is there from the start: counting must not allocate.
struct Histogram: Sendable {
    private static let stepBits = 5
    private static let steps = 1 << stepBits
    private var counts = [UInt32](repeating: 0, count: (64 - stepBits) << stepBits)

    /// What lies below `steps` nanoseconds has a place for each; above it, every doubling has `steps` places.
    private static func place(_ nanoseconds: UInt64) -> Int {
        let magnitude = max(0, 63 - nanoseconds.leadingZeroBitCount - stepBits)
        return magnitude << stepBits + Int(nanoseconds >> UInt64(magnitude))
    }

    mutating func record(_ nanoseconds: UInt64) { counts[min(Self.place(nanoseconds), counts.count - 1)] += 1 }

    mutating func add(_ other: Histogram) { for place in counts.indices { counts[place] += other.counts[place] } }

    var total: Int { counts.reduce(0) { $0 + Int($1) } }

    /// The time that `share` of all were no longer than; the upper end of its place.
    func nanoseconds(at share: Double) -> UInt64 {
        let wanted = max(1, Int((Double(total) * share).rounded(.up)))
        var seen = 0
        for place in counts.indices {
            seen += Int(counts[place])
            guard seen >= wanted else { continue }
            let magnitude = max(0, place >> Self.stepBits - 1)
            return UInt64(place - magnitude << Self.stepBits + 1) << UInt64(magnitude)
        }
        return 0
    }
}
