import Testing

@testable import MartletServer

/// Questions as they come from a network, and answers as they go there.
struct DNSMessageTests {
    static func question(
        _ name: String, _ type: UInt16, id: UInt16 = 0x1234, flags: UInt16 = 0x0100, udpBytes: UInt16? = nil,
        version: UInt8 = 0, recordClass: UInt16 = 1
    ) -> [UInt8] {
        func words(_ words: UInt16...) -> [UInt8] { words.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] } }
        var bytes = words(id, flags, 1, 0, 0, udpBytes == nil ? 0 : 1)
        for label in name.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
        bytes += [0] + words(type, recordClass)
        if let udpBytes { bytes += [0] + words(41, udpBytes, UInt16(version), 0, 0) }
        return bytes
    }

    static func read(_ bytes: [UInt8]) -> DNSQuery.Reading { bytes.withUnsafeBytes { DNSQuery.read($0) } }

    static func query(_ bytes: [UInt8]) throws -> DNSQuery {
        guard case .query(let query) = read(bytes) else { throw Unreadable() }
        return query
    }
    struct Unreadable: Error {}

    @Test func `a question is read, its name without its case and with it`() throws {
        let query = try Self.query(Self.question("WeB.service.Martlet.internal", 33, udpBytes: 4_096))
        #expect(query.header.id == 0x1234)
        #expect(query.question.name == DNSName("web.service.martlet.internal"))
        #expect(query.question.nameBytes.starts(with: [3] + Array("WeB".utf8)))
        #expect(query.question.type == 33)
        #expect(query.edns?.payloadBytes == 4_096)
        #expect(try Self.query(Self.question("a", 1)).edns == nil)
    }

    @Test func `what is no question is not answered, and what is a broken one is called so`() {
        func isNothing(_ bytes: [UInt8]) -> Bool { if case .nothing = Self.read(bytes) { true } else { false } }
        func isMalformed(_ bytes: [UInt8]) -> Bool { if case .malformed = Self.read(bytes) { true } else { false } }
        #expect(isNothing([]))
        #expect(isNothing([UInt8](repeating: 0, count: 11)))
        // An answer: to answer it would be to talk to itself for ever.
        #expect(isNothing(Self.question("a", 1, flags: 0x8000)))
        let whole = Self.question("web.service", 1, udpBytes: 512)
        for count in 12..<whole.count { #expect(isMalformed(Array(whole.prefix(count))), "\(count) bytes") }
        // Two questions; another opcode.
        var two = whole
        two[5] = 2
        #expect(isMalformed(two))
        #expect(isMalformed(Self.question("a", 1, flags: 0x2800)))
        // Two OPT records.
        var options = whole + whole.suffix(11)
        options[11] = 2
        #expect(isMalformed(options))
    }

    @Test func `names may point backwards, and never in circles`() throws {
        let head: [UInt8] = [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        func isMalformed(_ bytes: [UInt8]) -> Bool { if case .malformed = Self.read(bytes) { true } else { false } }
        // To itself; forwards; into the header; with a label's length of a kind that there is not.
        #expect(isMalformed(head + [0xc0, 12, 0, 1, 0, 1]))
        #expect(isMalformed(head + [0xc0, 14, 0, 1, 0, 1]))
        #expect(isMalformed(head + [0xc0, 4, 0, 1, 0, 1]))
        #expect(isMalformed(head + [0x40, 1, 0, 0, 1, 0, 1]))
        #expect(isMalformed(head + [1, 0x61, 0xc0, 12, 0, 1, 0, 1]))
        // 255 bytes are the most that a name may have.
        let long = [[UInt8]](repeating: [1, 0x61], count: 127).flatMap { $0 }
        #expect((try? Self.query(head + long + [0, 0, 1, 0, 1])) != nil)
        #expect(isMalformed(head + [1, 0x61] + long + [0, 0, 1, 0, 1]))
        // The name of an additional record may point at the question's.
        var pointed = Self.question("web.service", 1, udpBytes: 512)
        pointed.replaceSubrange((pointed.count - 11)..<(pointed.count - 10), with: [0xc0, 12])
        #expect(isMalformed(pointed), "an OPT record that is not the root's")
        pointed[pointed.count - 9] = 1
        #expect((try? Self.query(pointed)) != nil)
    }

    /// Random bytes, and questions of which some bytes are random: whatever comes, there is a reading of it, and an
    /// answer that is no longer than it may be.
    @Test func `no bytes from a socket do harm`() throws {
        var random = SplitMix(state: 0x6d61_7274_6c65_74)
        let responder = ZoneFixture.responder()
        var answered = 0
        for round in 0..<60_000 {
            var bytes: [UInt8]
            if round % 3 == 0 {
                let count = Int.random(in: 0...80, using: &random)
                bytes = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            } else {
                bytes = Self.question(
                    ["web.service.martlet.internal", "_web._tcp.service.martlet.internal", "martlet.internal"]
                        .randomElement(using: &random) ?? "", [1, 28, 33, 255, 6].randomElement(using: &random) ?? 1,
                    udpBytes: round % 2 == 0 ? nil : 1_232)
                for _ in 0..<Int.random(in: 0...4, using: &random) {
                    let place = Int.random(in: 0..<bytes.count, using: &random)
                    bytes[place] = UInt8.random(in: .min ... .max, using: &random)
                }
                if round % 5 == 0 { bytes.removeLast(Int.random(in: 0...bytes.count, using: &random)) }
            }
            let isStream = round % 7 == 0
            let answer = bytes.withUnsafeBytes { responder.respond(to: $0, isStream: isStream) }
            guard let answer else { continue }
            answered += 1
            #expect(answer.count <= (isStream ? 65_535 : DiscoveryLimits.datagramBytesMax))
            #expect(answer[2] & 0x80 != 0)
            #expect(answer.prefix(2) == bytes.prefix(2))
        }
        #expect(answered > 20_000)
    }

    @Test func `names are compressed in answers, and never the targets of SRV`() throws {
        let query = try Self.query(Self.question("web.service.martlet.internal", 33))
        let target = DNSName("web-1.web.instance.martlet.internal")
        let record = DNSRecord(
            name: query.question.name, ttl: 5, body: .srv(priority: 1, weight: 2, port: 80, target: target))
        let address = DNSRecord(name: target, ttl: 5, body: .a([10, 0, 0, 1]))
        let bytes = DNSWriter.write(
            DNSAnswer(answers: [record], additional: [address]), to: query, bytesMax: 512)
        let plain = try DNSAnswerReading(bytes)
        #expect(plain.answers == [record])
        #expect(plain.additional == [address])
        let questionBytes = 12 + 30 + 4
        // Owner as a pointer, then type, class, TTL, length, three words and the target in full.
        #expect(Array(bytes[questionBytes..<(questionBytes + 2)]) == [0xc0, 12])
        #expect(bytes.count == questionBytes + 2 + 10 + 6 + 37 + 2 + 10 + 4)
    }

    @Test func `what does not fit is left out, and marked where it was asked for`() throws {
        let query = try Self.query(Self.question("web.service.martlet.internal", 1))
        func record(_ number: Int) -> DNSRecord {
            DNSRecord(name: query.question.name, ttl: 5, body: .a([10, 0, UInt8(number / 256), UInt8(number % 256)]))
        }
        let many = DNSAnswer(answers: (0..<100).map(record))
        let cut = try DNSAnswerReading(DNSWriter.write(many, to: query, bytesMax: 512))
        #expect(cut.isTruncated)
        #expect(cut.answers.count == (512 - 46) / 16)
        let whole = try DNSAnswerReading(DNSWriter.write(many, to: query, bytesMax: 65_535))
        #expect(!whole.isTruncated && whole.answers.count == 100)
        // What was not asked for may go without a word.
        let extra = DNSAnswer(answers: [record(1)], additional: (0..<100).map(record))
        let short = try DNSAnswerReading(DNSWriter.write(extra, to: query, bytesMax: 512))
        #expect(!short.isTruncated && short.answers.count == 1 && short.additional.count == 28)
    }
}

/// Reads answers, which the server never does.
struct DNSAnswerReading {
    var flags: UInt16
    var code: UInt16 { flags & 0xf }
    var isTruncated: Bool { flags & 0x0200 != 0 }
    var isAuthoritative: Bool { flags & 0x0400 != 0 }
    var answers: [DNSRecord] = []
    var authority: [DNSRecord] = []
    var additional: [DNSRecord] = []
    /// The TTL field of an OPT record.
    var edns: UInt32?

    private static func need<Value>(_ value: Value?) throws -> Value {
        guard let value else { throw DNSMessageTests.Unreadable() }
        return value
    }

    init(_ bytes: [UInt8]) throws {
        func word(_ place: Int) -> Int { Int(bytes[place]) << 8 | Int(bytes[place + 1]) }
        flags = UInt16(word(2))
        let sections = try bytes.withUnsafeBytes { raw in
            var reader = DNSReader(bytes: raw, offset: 12)
            for _ in 0..<word(4) {
                _ = try Self.need(reader.name())
                reader.offset += 4
            }
            var edns: UInt32?
            func section(_ count: Int) throws -> [DNSRecord] {
                var records: [DNSRecord] = []
                for _ in 0..<count {
                    let (name, _) = try Self.need(reader.name())
                    let type = try Self.need(reader.word())
                    _ = try Self.need(reader.word())
                    let ttl = try Self.need(reader.long())
                    let length = Int(try Self.need(reader.word()))
                    let end = reader.offset + length
                    if type == 41 {
                        edns = ttl
                        continue
                    }
                    let body: DNSRecord.Body
                    switch try Self.need(DNSType(rawValue: type)) {
                    case .a: body = .a(Array(raw[reader.offset..<end]))
                    case .aaaa: body = .aaaa(Array(raw[reader.offset..<end]))
                    case .cname: body = .cname(try Self.need(reader.name()).0)
                    case .ns: body = .ns(try Self.need(reader.name()).0)
                    case .srv:
                        let priority = try Self.need(reader.word())
                        let weight = try Self.need(reader.word())
                        let port = try Self.need(reader.word())
                        body = .srv(
                            priority: priority, weight: weight, port: port, target: try Self.need(reader.name()).0)
                    case .soa:
                        let server = try Self.need(reader.name()).0
                        let mailbox = try Self.need(reader.name()).0
                        let serial = try Self.need(reader.long())
                        reader.offset += 12
                        body = .soa(
                            server: server, mailbox: mailbox, serial: serial, negativeTTL: try Self.need(reader.long()))
                    default: body = .hinfo(cpu: "", system: "")
                    }
                    reader.offset = end
                    records.append(DNSRecord(name: name, ttl: ttl, body: body))
                }
                return records
            }
            let all = (try section(word(6)), try section(word(8)), try section(word(10)))
            #expect(reader.offset == bytes.count, "bytes behind the last record")
            return (all, edns)
        }
        ((answers, authority, additional), edns) = sections
    }
}

/// Numbers that are the same in each run.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
