/// Texts as Go's standard library and etcdctl's helpers make them, because etcdctl's output is compared and parsed.
package enum GoText {
    private static let hexDigits = Array("0123456789abcdef".utf8)

    /// `%x` of a number.
    package static func hex(_ number: UInt64) -> String { String(number, radix: 16) }

    /// `--hex`: each byte as `\x6b`.
    package static func hexEscaped(_ bytes: [UInt8]) -> [UInt8] {
        bytes.flatMap { [UInt8(ascii: "\\"), UInt8(ascii: "x"), hexDigits[Int($0 >> 4)], hexDigits[Int($0 & 15)]] }
    }

    /// `%q`: a double-quoted Go string literal. Bytes that are not UTF-8 come as `\xff`.
    package static func quoted(_ bytes: [UInt8]) -> String {
        var text = "\""
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let scalar = leadingScalar(of: rest) else {
                text += "\\x" + hexPadded(UInt32(rest.removeFirst()), 2)
                continue
            }
            rest = rest.dropFirst(UTF8.width(scalar))
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\u{07}": text += "\\a"
            case "\u{08}": text += "\\b"
            case "\u{0c}": text += "\\f"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{0b}": text += "\\v"
            default:
                if isPrintable(scalar) {
                    text.unicodeScalars.append(scalar)
                } else if scalar.value < 0x80 {
                    text += "\\x" + hexPadded(scalar.value, 2)
                } else if scalar.value < 0x10000 {
                    text += "\\u" + hexPadded(scalar.value, 4)
                } else {
                    text += "\\U" + hexPadded(scalar.value, 8)
                }
            }
        }
        return text + "\""
    }

    package static func quoted(_ text: String) -> String { quoted(Array(text.utf8)) }

    /// The scalar that the bytes begin with; nil where they begin with none.
    private static func leadingScalar(of bytes: ArraySlice<UInt8>) -> Unicode.Scalar? {
        for length in 1...4 where bytes.count >= length {
            if let text = String(validating: bytes.prefix(length), as: UTF8.self) { return text.unicodeScalars.first }
        }
        return nil
    }

    /// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        case .spaceSeparator: scalar == " "
        default: true
        }
    }

    private static func hexPadded(_ number: UInt32, _ width: Int) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }

    /// `time.Duration.String()`: `3.512191ms`, `1.000375651s`, `1m0.5s`.
    package static func duration(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let nanoseconds = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
        guard nanoseconds != 0 else { return "0s" }
        let sign = nanoseconds < 0 ? "-" : ""
        let magnitude = nanoseconds.magnitude
        switch magnitude {
        case ..<1_000: return sign + "\(magnitude)ns"
        case ..<1_000_000: return sign + decimal(magnitude, 1_000) + "µs"
        case ..<1_000_000_000: return sign + decimal(magnitude, 1_000_000) + "ms"
        default:
            let wholeMinutes = magnitude / 60_000_000_000
            let rest = decimal(magnitude % 60_000_000_000, 1_000_000_000) + "s"
            if wholeMinutes == 0 { return sign + rest }
            if wholeMinutes < 60 { return sign + "\(wholeMinutes)m" + rest }
            return sign + "\(wholeMinutes / 60)h\(wholeMinutes % 60)m" + rest
        }
    }

    /// `number / unit` with as many decimals as it has, zeros at the end left out.
    private static func decimal(_ number: UInt64, _ unit: UInt64) -> String {
        let fraction = number % unit
        guard fraction != 0 else { return "\(number / unit)" }
        let width = String(unit).count - 1
        var digits = String(fraction)
        digits = String(repeating: "0", count: width - digits.count) + digits
        while digits.last == "0" { digits.removeLast() }
        return "\(number / unit).\(digits)"
    }

    /// Bytes for people, in powers of 1000: `20 kB`, `1.5 MB`.
    package static func byteCount(_ count: Int64) -> String {
        guard count >= 10 else { return "\(count) B" }
        let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
        var value = Double(count)
        var unit = 0
        while value >= 1_000, unit < units.count - 1 {
            value /= 1_000
            unit += 1
        }
        value = (value * 10 + 0.5).rounded(.down) / 10
        guard value < 10 else { return "\(Int(value.rounded(.toNearestOrEven))) \(units[unit])" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }

    private static let base64Alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Base64 with padding (RFC 4648, section 4), as JSON has `bytes`.
    package static func base64(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var word: UInt32 = 0
            for offset in 0..<3 { word = word << 8 | (offset < group.count ? UInt32(group[start + offset]) : 0) }
            for offset in 0..<4 {
                let isPadding = offset > group.count
                text.append(isPadding ? UInt8(ascii: "=") : base64Alphabet[Int(word >> (18 - 6 * UInt32(offset)) & 63)])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// A JSON string as Go's `encoding/json` writes it, with HTML's letters escaped.
    package static func json(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "<", ">", "&", "\u{2028}", "\u{2029}": result += "\\u" + hexPadded(scalar.value, 4)
            default:
                if scalar.value < 0x20 {
                    result += "\\u" + hexPadded(scalar.value, 4)
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
