/// What services, instances and tags may be called. A service and an instance are labels of host names, since DNS
/// answers for them: 1 to 63 of a-z, 0-9 and "-", and neither the first nor the last is a "-" (RFC 1123).
enum ServiceName {
    static func isLabel(_ text: some StringProtocol) -> Bool {
        let bytes = Array(text.utf8)
        guard (1...63).contains(bytes.count), bytes.first != UInt8(ascii: "-"), bytes.last != UInt8(ascii: "-") else {
            return false
        }
        return bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
            default: false
            }
        }
    }

    static let rule = "1 to 63 of a-z, 0-9 and \"-\", with no \"-\" at either end"

    /// For names that are written into keys.
    static func check(_ text: String, _ what: String) throws(APIError) {
        if let refusal = refusal(of: text, what) { throw refusal }
    }

    static func refusal(of text: String, _ what: String) -> APIError? {
        isLabel(text) ? nil : .badRequest("\"\(text)\" cannot be the name of \(what), which is \(rule)")
    }

    /// The label under which an instance is a host. Ids that others chose need not be labels: they get one that hangs
    /// on the id alone (FNV-1a, 64 bits).
    static func hostLabel(of id: String) -> String {
        if isLabel(id) { return id }
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in id.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return "x-" + hex(hash)
    }

    /// Labels of a host name, which need not be one of ours: letters of either case, digits, "-" and "_".
    static func isHostName(_ text: String) -> Bool {
        let labels = text.hasSuffix(".") ? text.dropLast() : text[...]
        guard !labels.isEmpty, labels.utf8.count <= 253 else { return false }
        return labels.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count)
                && label.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                        true
                    default: false
                    }
                }
        }
    }
}
