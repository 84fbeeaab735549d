/// Whether bytes are one JSON value (RFC 8259) and nothing else. What passes can stand in an answer as it is.
struct JSONCheck {
    private let bytes: UnsafeRawBufferPointer
    private var place = 0
    private let depthMax: Int

    static func isValue(_ bytes: UnsafeRawBufferPointer, depthMax: Int = HTTPAPILimits().jsonDepthMax) -> Bool {
        guard String(validating: bytes, as: UTF8.self) != nil else { return false }
        var check = JSONCheck(bytes: bytes, depthMax: depthMax)
        guard check.value(depth: 0) else { return false }
        check.skipBlanks()
        return check.place == bytes.count
    }

    static func isValue(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { isValue($0) } }

    private init(bytes: UnsafeRawBufferPointer, depthMax: Int) {
        self.bytes = bytes
        self.depthMax = depthMax
    }

    private var next: UInt8? { place < bytes.count ? bytes[place] : nil }

    private mutating func take(_ byte: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: byte) else { return false }
        place += 1
        return true
    }

    private mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d { place += 1 }
    }

    private mutating func value(depth: Int) -> Bool {
        guard depth <= depthMax else { return false }
        skipBlanks()
        switch next {
        case UInt8(ascii: "{"): return list(from: "{", to: "}", depth: depth, isObject: true)
        case UInt8(ascii: "["): return list(from: "[", to: "]", depth: depth, isObject: false)
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "t"): return word("true")
        case UInt8(ascii: "f"): return word("false")
        case UInt8(ascii: "n"): return word("null")
        default: return number()
        }
    }

    private mutating func list(
        from open: Unicode.Scalar, to close: Unicode.Scalar, depth: Int, isObject: Bool
    ) -> Bool {
        guard take(open) else { return false }
        skipBlanks()
        if take(close) { return true }
        while true {
            if isObject {
                skipBlanks()
                guard string() else { return false }
                skipBlanks()
                guard take(":") else { return false }
            }
            guard value(depth: depth + 1) else { return false }
            skipBlanks()
            if take(close) { return true }
            guard take(",") else { return false }
        }
    }

    private mutating func string() -> Bool {
        guard take("\"") else { return false }
        while let byte = next {
            place += 1
            switch byte {
            case UInt8(ascii: "\""): return true
            case 0..<0x20: return false
            case UInt8(ascii: "\\"): guard escape() else { return false }
            default: break
            }
        }
        return false
    }

    private mutating func escape() -> Bool {
        guard let byte = next else { return false }
        place += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return true
        case UInt8(ascii: "u"):
            for _ in 0..<4 {
                guard let digit = next, Character(Unicode.Scalar(digit)).isHexDigit else { return false }
                place += 1
            }
            return true
        default: return false
        }
    }

    private mutating func word(_ word: String) -> Bool {
        for byte in word.utf8 {
            guard next == byte else { return false }
            place += 1
        }
        return true
    }

    private mutating func digits() -> Bool {
        let start = place
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { place += 1 }
        return place > start
    }

    private mutating func number() -> Bool {
        _ = take("-")
        if !take("0") {
            guard digits() else { return false }
        }
        if take(".") {
            guard digits() else { return false }
        }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            guard digits() else { return false }
        }
        return true
    }
}
