extension GoText {
    /// The bytes that a Go string literal at the beginning of `text` stands for, and how many bytes of `text` it takes:
    /// `%q` of `fmt.Sscanf`. Nil where there is none, or it has no end.
    package static func unquoted(_ text: some Collection<UInt8>) -> (bytes: [UInt8], length: Int)? {
        let literal = Array(text)
        guard let quote = literal.first else { return nil }
        if quote == UInt8(ascii: "`") {
            guard let end = literal.dropFirst().firstIndex(of: quote) else { return nil }
            return (Array(literal[1..<end]), end + 1)
        }
        guard quote == UInt8(ascii: "\"") else { return nil }
        var bytes: [UInt8] = []
        var index = 1
        while index < literal.count {
            switch literal[index] {
            case quote: return (bytes, index + 1)
            case UInt8(ascii: "\n"): return nil
            case UInt8(ascii: "\\"):
                guard let length = appendEscape(literal[(index + 1)...], to: &bytes) else { return nil }
                index += 1 + length
            default:
                bytes.append(literal[index])
                index += 1
            }
        }
        return nil
    }

    /// What follows a backslash; returns how many bytes it has.
    private static func appendEscape(_ rest: ArraySlice<UInt8>, to bytes: inout [UInt8]) -> Int? {
        guard let letter = rest.first else { return nil }
        let simple: [Character: UInt8] = [
            "a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 0x5c, "\"": 0x22,
        ]
        if let byte = simple[Character(Unicode.Scalar(letter))] {
            bytes.append(byte)
            return 1
        }
        func number(_ digits: ArraySlice<UInt8>, _ count: Int, _ radix: Int) -> UInt32? {
            guard digits.count >= count else { return nil }
            let text = String(decoding: digits.prefix(count), as: UTF8.self)
            guard text.allSatisfy(\.isHexDigit) else { return nil }
            return UInt32(text, radix: radix)
        }
        switch letter {
        case UInt8(ascii: "x"):
            guard let byte = number(rest.dropFirst(), 2, 16) else { return nil }
            bytes.append(UInt8(byte))
            return 3
        case UInt8(ascii: "u"), UInt8(ascii: "U"):
            let count = letter == UInt8(ascii: "u") ? 4 : 8
            guard let scalar = number(rest.dropFirst(), count, 16).flatMap(Unicode.Scalar.init) else { return nil }
            bytes.append(contentsOf: Array(String(Character(scalar)).utf8))
            return 1 + count
        case UInt8(ascii: "0")...UInt8(ascii: "7"):
            guard let byte = number(rest, 3, 8), byte < 256 else { return nil }
            bytes.append(UInt8(byte))
            return 3
        default: return nil
        }
    }
}
