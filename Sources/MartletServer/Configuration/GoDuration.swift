/// Durations as Go writes them, because etcd's flags are written so: `5s`, `100ms`, `1h30m`, `1.5h`.
package enum GoDuration {
    private static let unitNanoseconds: [(unit: String, nanoseconds: Double)] = [
        ("ns", 1), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9),
    ]

    /// Nil where the text is no duration, is negative, or is beyond 292 years (64 bits of nanoseconds).
    package static func parse(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        var rest = text[...]
        guard !rest.isEmpty else { return nil }
        var total = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { ("0"..."9").contains($0) || $0 == "." }
            guard let number = Double(digits) else { return nil }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { !(("0"..."9").contains($0) || $0 == ".") }
            guard let known = unitNanoseconds.first(where: { $0.unit == unit }) else { return nil }
            rest = rest.dropFirst(unit.count)
            total += number * known.nanoseconds
        }
        guard total < 9.2e18 else { return nil }
        return .nanoseconds(Int64(total))
    }

    /// As Go prints it, to the millisecond: `1h30m0s`, `5s`, `1.5s`, `250ms`.
    static func text(_ duration: Duration) -> String {
        let milliseconds = Int64(duration / .milliseconds(1))
        guard milliseconds >= 1_000 || milliseconds == 0 else { return "\(milliseconds)ms" }
        let (hours, minutes) = (milliseconds / 3_600_000, milliseconds / 60_000 % 60)
        let rest = milliseconds % 60_000
        var seconds = "\(rest / 1_000)"
        if rest % 1_000 != 0 {
            var digits = String(1_000 + rest % 1_000).dropFirst()
            while digits.last == "0" { digits.removeLast() }
            seconds += "." + digits
        }
        return (hours > 0 ? "\(hours)h" : "") + (hours > 0 || minutes > 0 ? "\(minutes)m" : "") + seconds + "s"
    }
}
