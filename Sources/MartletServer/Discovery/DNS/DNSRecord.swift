/// The types of records that are known here by name.
enum DNSType: UInt16, Sendable {
    case a = 1, ns = 2, cname = 5, soa = 6, hinfo = 13, aaaa = 28, srv = 33, opt = 41, ixfr = 251, axfr = 252, any = 255
}

enum DNSCode: UInt16, Sendable {
    case noError = 0, formatError = 1, serverFailure = 2, noSuchName = 3, notImplemented = 4, refused = 5
    /// Of EDNS: its upper bits are in the OPT record.
    case badVersion = 16
}

struct DNSRecord: Hashable, Sendable {
    enum Body: Hashable, Sendable {
        case a([UInt8])
        case aaaa([UInt8])
        case cname(DNSName)
        case ns(DNSName)
        case srv(priority: UInt16, weight: UInt16, port: UInt16, target: DNSName)
        case soa(server: DNSName, mailbox: DNSName, serial: UInt32, negativeTTL: UInt32)
        case hinfo(cpu: String, system: String)

        var type: DNSType {
            switch self {
            case .a: .a
            case .aaaa: .aaaa
            case .cname: .cname
            case .ns: .ns
            case .srv: .srv
            case .soa: .soa
            case .hinfo: .hinfo
            }
        }
    }

    var name: DNSName
    var ttl: UInt32
    var body: Body

    /// Nil where the type does not fit the address.
    static func address(_ name: DNSName, _ ttl: UInt32, _ ip: IPAddress, _ type: DNSType) -> DNSRecord? {
        switch (ip, type) {
        case (.v4(let bytes), .a): DNSRecord(name: name, ttl: ttl, body: .a(bytes))
        case (.v6(let bytes), .aaaa): DNSRecord(name: name, ttl: ttl, body: .aaaa(bytes))
        default: nil
        }
    }
}

/// What a question comes to.
struct DNSAnswer: Hashable, Sendable {
    var code = DNSCode.noError
    /// The zone is ours.
    var isAuthoritative = true
    var answers: [DNSRecord] = []
    var authority: [DNSRecord] = []
    /// What the asker would ask for next: may be left out.
    var additional: [DNSRecord] = []
}
