import Foundation
import Testing

@testable import MVCC
@testable import MartletServer

struct ServiceRegistrationTests {
    private func read(_ text: String) throws -> ServiceRegistration { try .read(Array(text.utf8)) }

    private func refusal(_ text: String) -> String? {
        do {
            _ = try ServiceRegistration.read(Array(text.utf8))
            return nil
        } catch {
            return "\(error.status) \(error.message)"
        }
    }

    @Test func `the shortest registration has what is usual`() throws {
        let registration = try read(#"{"address":"10.0.0.1","port":80}"#)
        #expect(registration.instance.ttlSeconds == 15)
        #expect(registration.instance.weight == 1)
        #expect(registration.lease == nil && registration.instance.check == nil)
    }

    @Test func `a whole one is read, and written so that others read it`() throws {
        let registration = try read(
            #"{"address":"::1","port":80,"tags":["a","b"],"weight":7,"meta":{"zone":"x"},"ttl":"1m"}"#)
        let bytes = ServiceRecord.bytes(of: registration.instance)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == #"{"Addr":"[::1]:80","Metadata":{"zone":"x"},"Op":0,"address":"::1","port":80,"tags":["a","b"],"#
                + #""ttl":60,"weight":7}"#)
        #expect(ServiceRecord.instance(from: bytes) == registration.instance)
    }

    @Test func `a check is read and written`() throws {
        let registration = try read(
            #"""
            {"address":"db.example.com","port":5432,"check":{"type":"http","path":"/up","port":81,"interval":"5s",
            "timeout":"500ms","failures":2,"deregister_after":3600}}
            """#)
        let check = try #require(registration.instance.check)
        #expect(check.kind == .http(path: "/up"))
        #expect(check.port == 81)
        #expect(check.intervalMilliseconds == 5_000 && check.timeoutMilliseconds == 500 && check.failuresMax == 2)
        #expect(check.deregisterAfterMilliseconds == 3_600_000)
        #expect(registration.instance.ttlSeconds == nil)
        #expect(ServiceRecord.instance(from: ServiceRecord.bytes(of: registration.instance)) == registration.instance)
        // Two missed checks and a slow one do not end the lease.
        #expect(check.ttlSeconds(atLeast: 2) == 16)
    }

    @Test func `a lease may be a number or a text`() throws {
        let text = try read(#"{"address":"10.0.0.1","port":80,"lease":"7587848943239472601"}"#)
        #expect(text.lease?.rawValue == 7_587_848_943_239_472_601)
        #expect(try read(#"{"address":"10.0.0.1","port":80,"lease":12}"#).lease?.rawValue == 12)
        #expect(try read(#"{"address":"10.0.0.1","port":80,"lease":12}"#).instance.ttlSeconds == nil)
    }

    @Test(arguments: [
        ("", "400 the body is missing"),
        ("[]", "400 the body is not"),
        ("{", "400 the body is not JSON"),
        (#"{"port":80}"#, "400 \"address\" is missing"),
        (#"{"address":"10.0.0.1"}"#, "400 \"port\" is missing"),
        (#"{"address":"10.0.0.1","port":"80"}"#, "400 \"port\" is not a whole number"),
        (#"{"address":"10.0.0.1","port":70000}"#, "400 \"port\": it is from 1 to 65535"),
        (#"{"address":"10.0.0.1","port":1,"weight":-1}"#, "400 \"weight\": it is from 0 to 65535"),
        (#"{"address":"10.0.0.1","port":1e300}"#, "400 the body is not JSON, or has a number"),
        (#"{"address":"10.0.0.1","port":0}"#, "400 \"port\": it is from 1 to 65535"),
        (#"{"address":"10.0.0.300","port":1}"#, "400 \"10.0.0.300\" is neither"),
        (#"{"address":"a b","port":1}"#, "400 \"a b\" is neither"),
        (#"{"address":"10.0.0.1","port":1,"tag":[]}"#, "400 \"tag\": there is no such field; did you mean \"tags\"?"),
        (#"{"address":"10.0.0.1","port":1,"tags":["\u0007"]}"#, "400 a tag has"),
        (#"{"address":"10.0.0.1","port":1,"ttl":0}"#, "400 \"ttl\": it is from 1"),
        (#"{"address":"10.0.0.1","port":1,"ttl":"soon"}"#, "400 \"ttl\": write it as"),
        (#"{"address":"10.0.0.1","port":1,"lease":0}"#, "400 \"lease\": it is the id"),
        (#"{"address":"10.0.0.1","port":1,"lease":5,"ttl":5}"#, "400 \"ttl\": a lease that is there"),
        (#"{"address":"10.0.0.1","port":1,"check":{"type":"icmp"}}"#, "400 \"check.type\": it is tcp, http or grpc"),
        (#"{"address":"10.0.0.1","port":1,"check":{"type":"tcp","path":"/"}}"#, "400 \"check.path\": only"),
        (#"{"address":"10.0.0.1","port":1,"check":{"type":"http","path":"x"}}"#, "400 \"check.path\": it begins"),
        (
            #"{"address":"10.0.0.1","port":1,"check":{"type":"http","path":"/ HTTP/1.1\r\nHost: x"}}"#,
            "400 \"check.path\": it begins"
        ),
        (
            #"{"address":"10.0.0.1","port":1,"check":{"type":"tcp","interval":"1ms"}}"#,
            "400 \"check.interval\": it is from"
        ),
        (
            #"{"address":"10.0.0.1","port":1,"check":{"type":"tcp","interval":"1s","timeout":"2s"}}"#,
            "400 \"check.timeout\": it is no longer"
        ),
        (#"{"address":"10.0.0.1","port":1,"ttl":9,"check":{"type":"tcp"}}"#, "400 \"ttl\": a checked instance"),
    ])
    func `what is wrong is named`(body: String, begin: String) {
        let refusal = refusal(body)
        #expect(refusal?.hasPrefix(begin) == true, "\(refusal ?? "taken")")
    }

    @Test func `a body has a size`() {
        let long = #"{"address":"10.0.0.1","port":1,"meta":{"a":""# + String(repeating: "x", count: 70_000) + #""}}"#
        #expect(refusal(long)?.hasPrefix("413") == true)
        let many = (0..<33).map { "\"t\($0)\"" }.joined(separator: ",")
        let tagged = #"{"address":"10.0.0.1","port":1,"tags":[\#(many)]}"#
        #expect(refusal(tagged)?.hasPrefix("400 there are 33 tags") == true)
    }

    @Test func `names are labels of hosts`() {
        for name in ["web", "a", "0", "web-1", String(repeating: "a", count: 63)] {
            #expect(ServiceName.isLabel(name), "\(name)")
        }
        for name in ["", "-a", "a-", "Web", "a.b", "a_b", "ä", "a/b", String(repeating: "a", count: 64)] {
            #expect(!ServiceName.isLabel(name), "\(name)")
            #expect(ServiceName.isLabel(ServiceName.hostLabel(of: name)), "\(name)")
        }
    }

    @Test func `all keys of an instance are where their readers look`() throws {
        let layout = ServiceLayout(domain: ["martlet", "internal"], dnsTTL: 5)
        let instance = ServiceInstance(address: "10.0.0.1", port: 80, tags: ["a", "b"], weight: 2)
        let puts = layout.puts("web", "web-1", instance, lease: LeaseID(9)).compactMap { operation in
            if case .put(let put) = operation { put } else { nil }
        }
        #expect(
            puts.map { String(decoding: $0.key, as: UTF8.self) } == [
                "services/web/web-1", "/skydns/internal/martlet/service/web/web-1",
            ])
        #expect(puts.map(\.lease) == [LeaseID(9), LeaseID(9)])
        #expect(
            String(decoding: puts[1].value, as: UTF8.self)
                == #"{"host":"10.0.0.1","port":80,"priority":1,"text":"a,b","ttl":5,"weight":2}"#)
        #expect(ServiceLayout.instances(of: "web").contains(Array("services/web/web-1".utf8)))
        #expect(!ServiceLayout.instances(of: "web").contains(Array("services/web2/x".utf8)))
        #expect(ServiceLayout.parts(of: Array("services/web/a/b".utf8), below: "services/")?.id == "a/b")
        #expect(ServiceLayout.parts(of: Array("services/web/".utf8), below: "services/") == nil)
    }

    @Test func `lists are found, and what is critical is found beside`() throws {
        var fixture = try ZoneFixture.usual()
        let checked = ServiceInstance(address: "10.0.0.5", port: 1, check: ServiceCheck(kind: .tcp))
        try fixture.apply(
            .put(PutOperation(key: ServiceLayout.checkKey("web", "ill"), value: ServiceRecord.bytes(of: checked))))
        let directory = ServiceDirectory(store: try fixture.state.view, limits: DiscoveryLimits())
        let healthy = try directory.healthy("web")
        #expect(healthy.map(\.id) == ["web-1", "web-2"])
        #expect(try directory.critical("web", beside: healthy).map(\.id) == ["ill"])
        #expect(try directory.services().services.map(\.name) == ["api", "mail", "web"])
        #expect(try directory.services().services.last?.checked == 1)
        #expect(try directory.checkCount() == 1)
    }
}
