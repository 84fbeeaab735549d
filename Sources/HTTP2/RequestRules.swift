/// What RFC 9113 asks of a request's fields and length (sections 8.1.1, 8.2 and 8.3), checked as they arrive.
///
/// The codec could check it, but takes the form of `:authority` as strictly as RFC 3986 has it: etcd's clients of 3.4
/// send a whole URL there, those of 3.5.0 a resolver's target, and etcd answers them. Nothing here depends on an
/// authority, so its form is nobody's business.
struct RequestRules {
    /// What a field is to the rules. Found out once for a field that a peer repeats (see ``FieldCache``).
    enum Field: Equatable {
        case regular
        case method(Method)
        case scheme
        case path(isAsterisk: Bool)
        case authority
        case host
        case contentLength(Int64)
        case malformed
    }
    enum Method: UInt8 {
        case connect, options, other
    }

    private struct Parts: OptionSet {
        let rawValue: UInt16
        static let method = Parts(rawValue: 1)
        static let scheme = Parts(rawValue: 2)
        static let path = Parts(rawValue: 4)
        static let authority = Parts(rawValue: 8)
        static let host = Parts(rawValue: 16)
        static let contentLength = Parts(rawValue: 32)
        /// A field that is no pseudo-field: none of those may follow.
        static let regular = Parts(rawValue: 64)
        static let connect = Parts(rawValue: 128)
        static let options = Parts(rawValue: 256)
        static let asterisk = Parts(rawValue: 512)
    }

    private var seen: Parts = []
    /// What `content-length` still promises, if it was there.
    private var bytesToCome: Int64 = 0
    /// The request is malformed: its stream is reset with PROTOCOL_ERROR (section 8.1.1).
    private(set) var isBroken = false

    @inline(__always)
    mutating func receive(_ field: Field) {
        switch field {
        case .regular: seen.insert(.regular)
        case .method(let method):
            receivePseudo(.method)
            if method == .connect { seen.insert(.connect) }
            if method == .options { seen.insert(.options) }
        case .scheme: receivePseudo(.scheme)
        case .path(let isAsterisk):
            receivePseudo(.path)
            if isAsterisk { seen.insert(.asterisk) }
        case .authority: receivePseudo(.authority)
        case .host: receiveOnce(.host)
        case .contentLength(let length):
            receiveOnce(.contentLength)
            bytesToCome = length
        case .malformed: isBroken = true
        }
    }

    /// Section 8.3: once, and before all others.
    @inline(__always)
    private mutating func receivePseudo(_ part: Parts) {
        if !seen.isDisjoint(with: [part, .regular]) { isBroken = true }
        seen.insert(part)
    }

    private mutating func receiveOnce(_ part: Parts) {
        if seen.contains(part) { isBroken = true }
        seen.formUnion([part, .regular])
    }

    /// The header section is complete. (`:authority` may be missing: section 8.3.1 asks for it where there is one.)
    mutating func endHeaders() {
        if seen.contains(.connect) {
            // Section 8.5.
            if seen.intersection([.authority, .scheme, .path]) != .authority { isBroken = true }
        } else if !seen.isSuperset(of: [.method, .scheme, .path]) {
            isBroken = true
        } else if seen.contains(.asterisk), !seen.contains(.options) {
            isBroken = true
        }
    }

    /// Section 8.1: no pseudo-fields in trailers.
    mutating func receiveTrailer(_ field: Field) {
        switch field {
        case .regular, .host, .contentLength: break
        case .method, .scheme, .path, .authority, .malformed: isBroken = true
        }
    }

    /// Section 8.1: a second field section ends the request.
    mutating func endTrailers(isLast: Bool) {
        if !isLast { isBroken = true }
    }

    @inline(__always)
    mutating func receive(bytes count: Int) {
        guard seen.contains(.contentLength) else { return }
        bytesToCome -= Int64(count)
        if bytesToCome < 0 { isBroken = true }
    }

    @inline(__always)
    mutating func end() {
        if seen.contains(.contentLength), bytesToCome != 0 { isBroken = true }
    }
}

extension RequestRules.Field {
    init(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) {
        guard Self.isValidName(name), Self.isValidValue(value) else {
            self = .malformed
            return
        }
        func isNamed(_ text: StaticString) -> Bool { Self.equal(name, text) }
        if name[0] == UInt8(ascii: ":") {
            if isNamed(":path") {
                self = Self.path(value)
            } else if isNamed(":method") {
                self = Self.method(value)
            } else if isNamed(":scheme") {
                self = value.isEmpty ? .malformed : .scheme
            } else {
                self = isNamed(":authority") ? .authority : .malformed
            }
        } else if isNamed("te") {
            // Section 8.2.2, as are the names below.
            self = Self.equal(value, "trailers", ignoringCase: true) ? .regular : .malformed
        } else if isNamed("content-length") {
            self = Self.number(value).map { .contentLength($0) } ?? .malformed
        } else if isNamed("host") {
            self = .host
        } else if isNamed("connection") || isNamed("keep-alive") || isNamed("proxy-connection")
            || isNamed("transfer-encoding") || isNamed("upgrade")
        {
            self = .malformed
        } else {
            self = .regular
        }
    }

    private static func path(_ value: UnsafeBufferPointer<UInt8>) -> Self {
        if value.first == UInt8(ascii: "/") { return .path(isAsterisk: false) }
        return equal(value, "*") ? .path(isAsterisk: true) : .malformed
    }

    private static func method(_ value: UnsafeBufferPointer<UInt8>) -> Self {
        guard !value.isEmpty, value.allSatisfy(isTokenByte) else { return .malformed }
        return .method(equal(value, "CONNECT") ? .connect : equal(value, "OPTIONS") ? .options : .other)
    }

    /// Digits only, and no more than fit.
    private static func number(_ value: UnsafeBufferPointer<UInt8>) -> Int64? {
        guard (1...18).contains(value.count) else { return nil }
        var number: Int64 = 0
        for byte in value {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            number = number * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        return number
    }

    /// Section 8.2.1, as strict as RFC 9110's tokens: no upper case letters, and a colon only at the front.
    private static func isValidName(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        var bytes = name[...]
        if bytes.first == UInt8(ascii: ":") { bytes = bytes.dropFirst() }
        guard !bytes.isEmpty else { return false }
        for byte in bytes where !isTokenByte(byte) || isUpperCase(byte) { return false }
        return true
    }

    /// Section 8.2.1 forbids NUL, CR and LF; like Go's servers we take no other control characters either, but pass
    /// over blanks at the ends, which mislead only those who hand fields on.
    private static func isValidValue(_ value: UnsafeBufferPointer<UInt8>) -> Bool {
        for byte in value where byte < 0x20 && byte != 0x09 || byte == 0x7f { return false }
        return true
    }

    /// RFC 9110 section 5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
            UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
            UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "^"), UInt8(ascii: "`"),
            UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default: false
        }
    }

    private static func isUpperCase(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
    }

    private static func equal(
        _ bytes: UnsafeBufferPointer<UInt8>, _ text: StaticString, ignoringCase: Bool = false
    ) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount else { return false }
        for index in 0..<bytes.count {
            let byte = ignoringCase && isUpperCase(bytes[index]) ? bytes[index] | 0x20 : bytes[index]
            guard byte == text.utf8Start[index] else { return false }
        }
        return true
    }
}
