/// Writes an answer, with names compressed, into as many bytes as there may be: what is additional is left out first,
/// and where the answer itself does not fit, as many of its records as do, with the mark of truncation (RFC 2181
/// section 9), so that it is asked for again over TCP.
struct DNSWriter {
    private(set) var bytes: [UInt8] = []
    private let bytesMax: Int
    /// Where names that end so have been written.
    private var places: [DNSName: Int] = [:]

    private static let truncated: UInt16 = 0x0200

    /// - Parameter bytesMax: at least 512.
    static func write(_ answer: DNSAnswer, to query: DNSQuery, bytesMax: Int) -> [UInt8] {
        var writer = DNSWriter(bytesMax: bytesMax - (query.edns == nil ? 0 : edgeBytes))
        // QR, the opcode, AA, RD as it came; RA and Z are 0; CD as it came (RFC 4035 section 3.2.2).
        var flags = 0x8000 | query.header.flags & 0x7910
        if answer.isAuthoritative { flags |= 0x0400 }
        flags |= answer.code.rawValue & 0xf
        for word in [query.header.id, flags, 1, 0, 0, 0] { writer.append(word) }
        writer.notePlaces(of: query.question.name, at: writer.bytes.count)
        writer.bytes += query.question.nameBytes
        writer.append(query.question.type)
        writer.append(query.question.recordClass)

        let answers = writer.append(answer.answers)
        var authority = 0
        var additional = 0
        if answers < answer.answers.count {
            writer.set(flags | truncated, at: 2)
        } else {
            authority = writer.append(answer.authority)
            if authority == answer.authority.count { additional = writer.append(answer.additional) }
        }
        if let edns = query.edns { writer.append(edns, answer.code) }
        writer.set(UInt16(answers), at: 6)
        writer.set(UInt16(authority), at: 8)
        writer.set(UInt16(additional + (query.edns == nil ? 0 : 1)), at: 10)
        return writer.bytes
    }

    /// To what cannot be read, or not be done: the header alone.
    static func write(_ code: DNSCode, to header: DNSQuery.Header) -> [UInt8] {
        var writer = DNSWriter(bytesMax: DiscoveryLimits.plainDatagramBytesMax)
        let flags = 0x8000 | header.flags & 0x7900 | code.rawValue
        for word in [header.id, flags, 0, 0, 0, 0] { writer.append(word) }
        return writer.bytes
    }

    private init(bytesMax: Int) {
        self.bytesMax = bytesMax
        bytes.reserveCapacity(DiscoveryLimits.plainDatagramBytesMax)
    }

    private mutating func append(_ word: UInt16) {
        bytes.append(UInt8(word >> 8))
        bytes.append(UInt8(word & 0xff))
    }

    private mutating func append(_ long: UInt32) {
        append(UInt16(long >> 16))
        append(UInt16(long & 0xffff))
    }

    private mutating func set(_ word: UInt16, at place: Int) {
        bytes[place] = UInt8(word >> 8)
        bytes[place + 1] = UInt8(word & 0xff)
    }

    /// As many as fit.
    private mutating func append(_ records: [DNSRecord]) -> Int {
        for (number, record) in records.enumerated() {
            let end = bytes.count
            append(record)
            guard bytes.count <= bytesMax else {
                bytes.removeLast(bytes.count - end)
                places = places.filter { $0.value < end }
                return number
            }
        }
        return records.count
    }

    private mutating func append(_ record: DNSRecord) {
        append(record.name)
        append(record.body.type.rawValue)
        append(UInt16(1))
        append(record.ttl)
        let length = bytes.count
        append(UInt16(0))
        switch record.body {
        case .a(let address), .aaaa(let address): bytes += address
        case .cname(let name), .ns(let name): append(name)
        case .srv(let priority, let weight, let port, let target):
            for word in [priority, weight, port] { append(word) }
            // Never compressed (RFC 2782).
            append(target, isCompressed: false)
        case .soa(let server, let mailbox, let serial, let negativeTTL):
            append(server)
            append(mailbox)
            // Nobody transfers this zone: refresh, retry and expire are for those who would.
            for long in [serial, 3_600, 600, 86_400, negativeTTL] { append(long) }
        case .hinfo(let cpu, let system):
            for text in [cpu, system] {
                bytes.append(UInt8(text.utf8.count))
                bytes += Array(text.utf8)
            }
        }
        set(UInt16(bytes.count - length - 2), at: length)
    }

    private mutating func append(_ name: DNSName, isCompressed: Bool = true) {
        let start = bytes.count
        var rest = name
        while !rest.labels.isEmpty {
            if isCompressed, let place = places[rest] {
                append(0xc000 | UInt16(place))
                return
            }
            let place = start + name.labels.dropLast(rest.labels.count).reduce(0) { $0 + 1 + $1.count }
            // Pointers have 14 bits.
            if place < 0x4000, places[rest] == nil { places[rest] = place }
            bytes.append(UInt8(rest.labels[0].count))
            bytes += rest.labels[0]
            rest.labels.removeFirst()
        }
        bytes.append(0)
    }

    private mutating func notePlaces(of name: DNSName, at start: Int) {
        var rest = name
        var place = start
        while !rest.labels.isEmpty {
            places[rest] = place
            place += 1 + rest.labels[0].count
            rest.labels.removeFirst()
        }
    }

    /// What an OPT record without options takes.
    private static let edgeBytes = 11

    private mutating func append(_ edns: DNSQuery.Extension, _ code: DNSCode) {
        bytes.append(0)
        append(DNSType.opt.rawValue)
        append(UInt16(DiscoveryLimits.datagramBytesMax))
        // The upper bits of the code, version 0, DO as it came (RFC 3225).
        append(UInt32(code.rawValue >> 4) << 24 | (edns.wantsDNSSEC ? 0x8000 : 0))
        append(UInt16(0))
    }
}
