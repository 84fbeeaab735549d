/// What a datagram or a frame asks, as far as it can be read. Nothing in it is trusted: a name may point at itself.
struct DNSQuery: Sendable {
    static let headerBytes = 12

    struct Header: Sendable {
        var id: UInt16
        var flags: UInt16
        var isResponse: Bool { flags & 0x8000 != 0 }
        var opcode: UInt16 { flags >> 11 & 0xf }
    }

    struct Question: Sendable {
        var name: DNSName
        /// As it came, letters in their case: it goes back so (what is not guessed is not forged).
        var nameBytes: [UInt8]
        var type: UInt16
        var recordClass: UInt16
    }

    /// EDNS (RFC 6891).
    struct Extension: Sendable {
        var payloadBytes: Int
        var version: UInt8
        var wantsDNSSEC: Bool
    }

    enum Reading: Sendable {
        /// Not worth an answer: it is too short to be asked with, or an answer itself, which would be answered for
        /// ever.
        case nothing
        /// A header, and behind it what cannot be read.
        case malformed(Header)
        case query(DNSQuery)
    }

    var header: Header
    var question: Question
    var edns: Extension?

    static func read(_ bytes: UnsafeRawBufferPointer) -> Reading {
        guard bytes.count >= headerBytes else { return .nothing }
        func word(_ offset: Int) -> UInt16 { UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1]) }
        let header = Header(id: word(0), flags: word(2))
        guard !header.isResponse else { return .nothing }
        // Other opcodes have other bodies.
        guard header.opcode == 0 else { return .malformed(header) }
        // One question: nobody has ever said what two would mean.
        guard word(4) == 1 else { return .malformed(header) }
        var reader = DNSReader(bytes: bytes, offset: headerBytes)
        guard let (name, nameBytes) = reader.name(), let type = reader.word(), let recordClass = reader.word() else {
            return .malformed(header)
        }
        var query = DNSQuery(
            header: header,
            question: Question(name: name, nameBytes: nameBytes, type: type, recordClass: recordClass))
        for _ in 0..<(Int(word(6)) + Int(word(8))) {
            guard reader.skipRecord() else { return .malformed(header) }
        }
        for _ in 0..<Int(word(10)) {
            guard let record = reader.additional() else { return .malformed(header) }
            guard record.type == DNSType.opt.rawValue else { continue }
            // One, and of the root (RFC 6891 section 6.1.1).
            guard query.edns == nil, record.isRoot else { return .malformed(header) }
            query.edns = Extension(
                payloadBytes: Int(record.recordClass), version: UInt8(truncatingIfNeeded: record.ttl >> 16),
                wantsDNSSEC: record.ttl & 0x8000 != 0)
        }
        return .query(query)
    }
}

/// Reads the pieces of a message; nil is what is not there, or goes round in circles.
struct DNSReader {
    let bytes: UnsafeRawBufferPointer
    var offset: Int

    static let nameBytesMax = 255

    mutating func word() -> UInt16? {
        guard offset + 2 <= bytes.count else { return nil }
        defer { offset += 2 }
        return UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
    }

    mutating func long() -> UInt32? {
        guard let high = word(), let low = word() else { return nil }
        return UInt32(high) << 16 | UInt32(low)
    }

    /// The name, and the same without compression. A pointer goes backwards only, each further than the one before, so
    /// there is an end (RFC 1035 section 4.1.4).
    mutating func name() -> (DNSName, [UInt8])? {
        var labels: [[UInt8]] = []
        var plain: [UInt8] = []
        var place = offset
        var end: Int?
        var lowest = offset
        while true {
            guard place < bytes.count else { return nil }
            let length = Int(bytes[place])
            switch length & 0xc0 {
            case 0x00:
                guard place + 1 + length <= bytes.count, plain.count + 1 + length <= Self.nameBytesMax else {
                    return nil
                }
                plain.append(UInt8(length))
                if length == 0 {
                    offset = end ?? place + 1
                    return (DNSName(labels: labels), plain)
                }
                let label = bytes[(place + 1)..<(place + 1 + length)]
                plain.append(contentsOf: label)
                labels.append(label.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 })
                place += 1 + length
            case 0xc0:
                guard place + 2 <= bytes.count else { return nil }
                let target = (length & 0x3f) << 8 | Int(bytes[place + 1])
                guard target < lowest, target >= DNSQuery.headerBytes else { return nil }
                end = end ?? place + 2
                lowest = target
                place = target
            default: return nil
            }
        }
    }

    mutating func skipRecord() -> Bool { additional() != nil }

    mutating func additional() -> (isRoot: Bool, type: UInt16, recordClass: UInt16, ttl: UInt32)? {
        guard let (name, _) = name(), let type = word(), let recordClass = word(), let ttl = long(),
            let length = word(), offset + Int(length) <= bytes.count
        else { return nil }
        offset += Int(length)
        return (name.labels.isEmpty, type, recordClass, ttl)
    }
}
