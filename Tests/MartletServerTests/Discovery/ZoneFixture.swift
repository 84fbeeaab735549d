import StorageEngine
import Testing

@testable import MVCC
@testable import MartletServer

/// A state with registrations in it, and what answers questions about it.
struct ZoneFixture {
    var state: State

    init() throws { state = try State(store: LayeredStore(engine: MemoryEngine())) }

    mutating func apply(_ command: Command) throws {
        _ = try state.apply(
            command, at: LogPosition(index: state.applied.index + 1, term: 1), wantsAnswer: true)
    }

    mutating func put(_ key: String, _ value: String) throws {
        try apply(.put(PutOperation(key: Array(key.utf8), value: Array(value.utf8))))
    }

    mutating func register(_ service: String, _ id: String, _ instance: ServiceInstance) throws {
        let layout = ServiceLayout(domain: ["martlet", "internal"], dnsTTL: 5)
        try apply(.transaction(Transaction(success: layout.puts(service, id, instance, lease: .none))))
    }

    var responder: DNSResponder {
        get throws {
            let view = try state.view
            return DNSResponder(
                domain: DNSName("martlet.internal"), ttl: 5,
                source: .init(
                    store: { view }, servers: { [.v4([10, 9, 9, 9])] },
                    failed: { Issue.record("the state cannot be read: \($0)") }),
                limits: DiscoveryLimits())
        }
    }

    static func usual() throws -> ZoneFixture {
        var fixture = try ZoneFixture()
        try fixture.register(
            "web", "web-1", ServiceInstance(address: "10.0.0.1", port: 8_080, tags: ["v1", "Blue"], weight: 3))
        try fixture.register("web", "web-2", ServiceInstance(address: "2001:db8::2", port: 8_081, tags: ["v2"]))
        try fixture.register("mail", "m", ServiceInstance(address: "mail.example.com", port: 25))
        // As etcd's own naming library writes it.
        try fixture.put("services/api/10.0.0.7:50051", #"{"Op":0,"Addr":"10.0.0.7:50051","Metadata":"x"}"#)
        try fixture.put("services/api/gone", #"{"Op":1,"Addr":"10.0.0.8:50051"}"#)
        try fixture.put("services/api/nonsense", "not JSON")
        try fixture.put("services/api/hostile", #"{"Op":0,"Addr":"a b c:1"}"#)
        return fixture
    }

    static func responder() -> DNSResponder {
        do {
            return try usual().responder
        } catch {
            preconditionFailure("no fixture: \(error)")
        }
    }

    static func ask(
        _ name: String, _ type: DNSType, udpBytes: UInt16? = nil, version: UInt8 = 0, recordClass: UInt16 = 1
    ) throws -> DNSAnswerReading {
        let bytes = DNSMessageTests.question(
            name, type.rawValue, udpBytes: udpBytes, version: version, recordClass: recordClass)
        let responder = try usual().responder
        return try DNSAnswerReading(
            try #require(bytes.withUnsafeBytes { responder.respond(to: $0, isStream: false) }))
    }
}
