import NIOCore
import Testing

@testable import MVCC
@testable import MartletServer

struct DNSZoneTests {
    private func bodies(_ name: String, _ type: DNSType) throws -> Set<DNSRecord.Body> {
        Set(try ZoneFixture.ask(name, type).answers.map(\.body))
    }

    @Test func `a service is its instances' addresses`() throws {
        #expect(try bodies("web.service.martlet.internal", .a) == [.a([10, 0, 0, 1])])
        #expect(
            try bodies("WEB.Service.martlet.INTERNAL", .aaaa)
                == [.aaaa([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2])])
        let answer = try ZoneFixture.ask("web.service.martlet.internal", .a)
        #expect(answer.isAuthoritative && answer.code == 0)
        #expect(answer.answers.map(\.ttl) == [5])
        #expect(answer.answers.map(\.name) == [DNSName("web.service.martlet.internal")])
    }

    @Test func `SRV has ports and weights, and the addresses of its targets`() throws {
        let answer = try ZoneFixture.ask("web.service.martlet.internal", .srv)
        let one = DNSName("web-1.web.instance.martlet.internal")
        let two = DNSName("web-2.web.instance.martlet.internal")
        #expect(
            Set(answer.answers.map(\.body)) == [
                .srv(priority: 1, weight: 3, port: 8_080, target: one),
                .srv(priority: 1, weight: 1, port: 8_081, target: two),
            ])
        #expect(Set(answer.additional.map(\.name)) == [one, two])
        #expect(try bodies("web-1.web.instance.martlet.internal", .a) == [.a([10, 0, 0, 1])])
        #expect(try bodies("web-1.web.instance.martlet.internal", .srv).count == 1)
    }

    @Test(arguments: [
        ("v1.web.service.martlet.internal", 8_080), ("_web._v1.service.martlet.internal", 8_080),
        ("blue.web.service.martlet.internal", 8_080), ("_web._v2.service.martlet.internal", 8_081),
    ])
    func `tags choose among the instances`(name: String, port: UInt16) throws {
        let ports = try ZoneFixture.ask(name, .srv).answers.map { record in
            if case .srv(_, _, let port, _) = record.body { port } else { UInt16(0) }
        }
        #expect(ports == [port])
    }

    @Test func `_tcp is every instance (RFC 2782)`() throws {
        #expect(try ZoneFixture.ask("_web._tcp.service.martlet.internal", .srv).answers.count == 2)
        #expect(try ZoneFixture.ask("_web._udp.service.martlet.internal", .srv).answers.count == 2)
    }

    @Test func `an instance that is a host's name is an alias where it is alone, and a target`() throws {
        #expect(try bodies("mail.service.martlet.internal", .a) == [.cname(DNSName("mail.example.com"))])
        #expect(
            try bodies("mail.service.martlet.internal", .srv)
                == [.srv(priority: 1, weight: 1, port: 25, target: DNSName("mail.example.com"))])
    }

    @Test func `what others register as gRPC does is found, and what is no instance is not`() throws {
        #expect(try bodies("api.service.martlet.internal", .a) == [.a([10, 0, 0, 7])])
        let srv = try ZoneFixture.ask("api.service.martlet.internal", .srv)
        let target = DNSName("\(ServiceName.hostLabel(of: "10.0.0.7:50051")).api.instance.martlet.internal")
        #expect(srv.answers.map(\.body) == [.srv(priority: 1, weight: 1, port: 50_051, target: target)])
        #expect(srv.additional.map(\.name) == [target])
        let label = ServiceName.hostLabel(of: "10.0.0.7:50051")
        #expect(try bodies("\(label).api.instance.martlet.internal", .a) == [.a([10, 0, 0, 7])])
    }

    @Test(arguments: [
        // The name is there, or names below it: no error, and no answer.
        ("web-1.web.instance.martlet.internal", DNSType.aaaa, 0), ("service.martlet.internal", .a, 0),
        ("instance.martlet.internal", .a, 0), ("_tcp.service.martlet.internal", .srv, 0),
        ("web.instance.martlet.internal", .a, 0), ("martlet.internal", .a, 0), ("web.service.martlet.internal", .ns, 0),
        // It is not.
        ("none.service.martlet.internal", .a, 3), ("v9.web.service.martlet.internal", .a, 3),
        ("web-3.web.instance.martlet.internal", .a, 3), ("none.instance.martlet.internal", .a, 3),
        ("web.martlet.internal", .a, 3), ("a.b.c.service.martlet.internal", .a, 3),
        ("_none._tcp.service.martlet.internal", .srv, 3),
    ])
    func `what is not there is said with the time that this may be believed (RFC 2308)`(
        name: String, type: DNSType, code: UInt16
    ) throws {
        let answer = try ZoneFixture.ask(name, type)
        #expect(answer.code == code && answer.isAuthoritative)
        #expect(answer.answers.isEmpty)
        #expect(answer.authority.map(\.name) == [DNSName("martlet.internal")])
        guard case .soa(_, _, _, let negativeTTL) = answer.authority.first?.body else {
            Issue.record("no SOA")
            return
        }
        #expect(negativeTTL == 5)
    }

    @Test func `the zone's own name has SOA and NS`() throws {
        #expect(try ZoneFixture.ask("martlet.internal", .soa).answers.count == 1)
        let names = try ZoneFixture.ask("martlet.internal", .ns)
        #expect(names.answers.map(\.body) == [.ns(DNSName("ns.martlet.internal"))])
        #expect(names.additional.map(\.body) == [.a([10, 9, 9, 9])])
        #expect(try bodies("ns.martlet.internal", .a) == [.a([10, 9, 9, 9])])
    }

    @Test func `other zones, transfers and other classes are refused, and ANY is told little`() throws {
        for (name, type) in [("example.com", DNSType.a), ("internal", .a), ("xmartlet.internal", .a)] {
            let answer = try ZoneFixture.ask(name, type)
            #expect(answer.code == 5 && !answer.isAuthoritative, "\(name)")
        }
        #expect(try ZoneFixture.ask("martlet.internal", .axfr).code == 5)
        #expect(try ZoneFixture.ask("martlet.internal", .a, recordClass: 3).code == 5)
        #expect(try ZoneFixture.ask("web.service.martlet.internal", .any).answers.count == 1)
    }

    @Test func `EDNS is answered, and a version of it that is not known is told so (RFC 6891)`() throws {
        #expect(try ZoneFixture.ask("web.service.martlet.internal", .a).edns == nil)
        #expect(try ZoneFixture.ask("web.service.martlet.internal", .a, udpBytes: 1_232).edns == 0)
        let answer = try ZoneFixture.ask("web.service.martlet.internal", .a, udpBytes: 1_232, version: 1)
        #expect(answer.edns.map { $0 >> 24 } == 1)
        #expect(answer.answers.isEmpty)
    }

    @Test func `a change is seen by the next question`() throws {
        var fixture = try ZoneFixture.usual()
        let cache = DNSInstanceCache(limits: DiscoveryLimits())
        #expect(try cache.healthy("web", in: fixture.state.view).map(\.id) == ["web-1", "web-2"])
        try fixture.register("web", "web-1", ServiceInstance(address: "10.0.0.99", port: 1))
        try fixture.apply(.delete(DeleteOperation(KeyRange(key: ServiceLayout.key("web", "web-2")))))
        #expect(try cache.healthy("web", in: fixture.state.view).map(\.instance.address) == ["10.0.0.99"])
    }

    @Test func `nobody is answered more often in a second than he may ask`() {
        var limits = DiscoveryLimits()
        limits.questionsPerAddressMax = 3
        limits.addressesMax = 2
        var rate = DNSRateLimit(limits: limits)
        let start = NIODeadline.uptimeNanoseconds(5_000_000_000)
        func verdict(_ last: UInt8, after seconds: Int64 = 0) -> DNSRateLimit.Verdict {
            rate.judge(.v4([10, 0, 0, last]), at: start + .seconds(seconds))
        }
        let all: [DNSRateLimit.Verdict] = [
            .answer, .answer, .answer, .askOverTCP, .askOverTCP, .askOverTCP, .drop, .drop,
        ]
        #expect((0..<8).map { _ in verdict(1) } == all)
        #expect(verdict(2) == .answer)
        // Those without a place of their own share one.
        #expect((3..<11).map { verdict($0) } == all)
        #expect(verdict(1, after: 1) == .answer)
    }

    @Test func `who has asked too much is told to come over TCP, in no more bytes than he sent`() throws {
        let question = DNSMessageTests.question("web.service.martlet.internal", 33, udpBytes: 1_232)
        let responder = try ZoneFixture.usual().responder
        let bytes = try #require(question.withUnsafeBytes { responder.respondInShort(to: $0) })
        let answer = try DNSAnswerReading(bytes)
        #expect(answer.isTruncated && answer.answers.isEmpty && answer.authority.isEmpty)
        #expect(bytes.count <= question.count)
        #expect([UInt8](repeating: 1, count: 11).withUnsafeBytes { responder.respondInShort(to: $0) } == nil)
    }
}
