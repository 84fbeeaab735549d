import MVCC
import NIOCore

/// The items of a query, or of a form.
struct QueryItems: Sendable {
    private var items: [(name: String, value: [UInt8])] = []

    init() {}

    /// What is misspelt is refused and not passed over, since a `?perfix` that nobody looks at would delete another key
    /// than was meant.
    /// - Parameter known: all names that there are.
    init(_ text: some Sequence<UInt8>, known: [String]) throws(APIError) {
        try self.init(text, known, refusesOthers: true)
    }

    /// For where others made the rules: names that are not wanted are passed over.
    init(_ text: some Sequence<UInt8>, wanted: [String]) throws(APIError) {
        try self.init(text, wanted, refusesOthers: false)
    }

    private init(
        _ text: some Sequence<UInt8>, _ known: [String], refusesOthers: Bool,
        itemsMax: Int = HTTPAPILimits().queryItemsMax
    ) throws(APIError) {
        let parts = Array(text).split(separator: UInt8(ascii: "&"), maxSplits: itemsMax)
        guard parts.count <= itemsMax else { throw .badRequest("more than \(itemsMax) parameters") }
        for item in parts {
            let parts = item.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let nameBytes = PercentCoding.decode(parts[0], plusIsBlank: true),
                let value = parts.count > 1 ? PercentCoding.decode(parts[1], plusIsBlank: true) : []
            else {
                throw .badRequest(
                    "\"\(String(decoding: item.prefix(80), as: UTF8.self))\" has a % without two hexadecimal digits "
                        + "behind it; a percent sign is %25")
            }
            let name = String(decoding: nameBytes, as: UTF8.self)
            guard known.contains(name) else {
                guard refusesOthers else { continue }
                let list = known.joined(separator: ", ")
                throw .badRequest("there is no parameter \"\(name.prefix(80))\" here; there are: \(list)")
            }
            guard !has(name) else { throw .badRequest("\(name) is given twice") }
            items.append((name, value))
        }
    }

    func bytes(_ name: String) -> [UInt8]? { items.first { $0.name == name }?.value }

    func has(_ name: String) -> Bool { items.contains { $0.name == name } }

    func text(_ name: String) throws(APIError) -> String? {
        guard let bytes = bytes(name) else { return nil }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .badRequest("\(name) is not UTF-8") }
        return text
    }

    /// `?prefix`, `?prefix=true` and `?prefix=1` are the same.
    func flag(_ name: String) throws(APIError) -> Bool {
        switch try text(name) {
        case nil, "false", "0": return false
        case "", "true", "1": return true
        case .some: throw .badRequest("\(name) is true or false")
        }
    }

    func number(_ name: String, from least: Int64, to most: Int64) throws(APIError) -> Int64? {
        guard let text = try text(name) else { return nil }
        guard let number = Self.number(text.utf8), (least...most).contains(number) else {
            throw .badRequest("\(name) is a number from \(least) to \(most)")
        }
        return number
    }

    /// Decimal digits only: no signs, no blanks.
    static func number(_ text: some Collection<UInt8>) -> Int64? {
        guard (1...19).contains(text.count) else { return nil }
        var number: Int64 = 0
        for byte in text {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            let (product, overflown) = number.multipliedReportingOverflow(by: 10)
            let (sum, overflownToo) = product.addingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
            guard !overflown, !overflownToo else { return nil }
            number = sum
        }
        return number
    }

    /// Seconds as a number, or a duration as Go writes it (`1m30s`); in nanoseconds.
    private static func nanoseconds(_ text: String) -> Double? {
        if let seconds = number(text.utf8) { return Double(seconds) * 1e9 }
        guard text.utf8.allSatisfy({ $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "+") }),
            let duration = GoDuration.parse(text)
        else { return nil }
        let (seconds, attoseconds) = duration.components
        return Double(seconds) * 1e9 + Double(attoseconds) / 1e9
    }

    func duration(_ name: String, atMost limit: TimeAmount) throws(APIError) -> TimeAmount? {
        guard let text = try text(name) else { return nil }
        guard let nanoseconds = Self.nanoseconds(text), nanoseconds <= Double(limit.nanoseconds) else {
            let seconds = limit.nanoseconds / 1_000_000_000
            throw .badRequest("\(name) is seconds, or a duration like 30s or 1m30s, and at most \(seconds)s")
        }
        return .nanoseconds(Int64(nanoseconds))
    }

    /// A lease's time in whole seconds: parts of one count as one.
    func ttl() throws(APIError) -> Int64? {
        guard let text = try text("ttl") else { return nil }
        guard let nanoseconds = Self.nanoseconds(text), nanoseconds > 0 else {
            throw .badRequest("ttl is seconds, or a duration like 30s or 1h, and more than none")
        }
        let seconds = (nanoseconds / 1e9).rounded(.up)
        guard seconds <= Double(Lease.ttlMax) else { throw APIError(RequestError.leaseTTLTooLarge) }
        return Int64(seconds)
    }

    func leaseID(_ name: String) throws(APIError) -> LeaseID? {
        guard let text = try text(name) else { return nil }
        return try Self.leaseID(text, name)
    }

    /// Decimal, or with 0x in front as hexadecimal, which is how `etcdctl` writes them.
    static func leaseID(_ text: String, _ name: String) throws(APIError) -> LeaseID {
        let id: Int64?
        if text.hasPrefix("0x") || text.hasPrefix("0X") {
            let digits = text.dropFirst(2)
            id = digits.utf8.allSatisfy { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "+") }
                ? Int64(digits, radix: 16) : nil
        } else {
            id = number(text.utf8)
        }
        guard let id, id > 0 else {
            throw .badRequest("\(name) is a lease's id: a number, or hexadecimal behind 0x")
        }
        return LeaseID(id)
    }
}
