/// `grpc-timeout`: at most eight digits and a unit.
package enum GRPCTimeout {
    /// More than this is no deadline that anyone would see pass, and keeps sums of times within their type.
    static let nanosecondsMax: Int64 = 10 * 365 * 86_400 * 1_000_000_000

    /// Nanoseconds, or nil when it is malformed.
    static func parse(_ text: UnsafeBufferPointer<UInt8>) -> Int64? {
        guard text.count >= 2, text.count <= 9 else { return nil }
        var value: Int64 = 0
        for byte in text.dropLast() {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        let unit: Int64
        switch text[text.count - 1] {
        case UInt8(ascii: "H"): unit = 3_600_000_000_000
        case UInt8(ascii: "M"): unit = 60_000_000_000
        case UInt8(ascii: "S"): unit = 1_000_000_000
        case UInt8(ascii: "m"): unit = 1_000_000
        case UInt8(ascii: "u"): unit = 1000
        case UInt8(ascii: "n"): unit = 1
        default: return nil
        }
        let (nanoseconds, overflow) = value.multipliedReportingOverflow(by: unit)
        return overflow ? nanosecondsMax : min(nanoseconds, nanosecondsMax)
    }

    /// The same, of a field of another protocol that has it.
    package static func parse(_ text: String) -> Int64? {
        var text = text
        return text.withUTF8 { parse($0) }
    }

    /// The finest unit in which it fits, rounded up: a peer that gives up early would make a lie of the deadline.
    static func format(nanoseconds: Int64) -> String {
        let units: [(Int64, String)] = [
            (1, "n"), (1000, "u"), (1_000_000, "m"), (1_000_000_000, "S"), (60_000_000_000, "M"),
        ]
        let nanoseconds = max(0, nanoseconds)
        for (unit, name) in units {
            let value = nanoseconds / unit + (nanoseconds % unit > 0 ? 1 : 0)
            if value < 100_000_000 { return "\(value)\(name)" }
        }
        return "\(nanoseconds / 3_600_000_000_000)H"
    }
}
