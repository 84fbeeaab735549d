import Foundation
import Testing

@testable import MartletClient

struct ServiceListingTests {
    private func instance(
        _ id: String, _ address: String = "10.0.0.1", lease: String? = nil
    ) -> ServiceInstanceListing {
        ServiceInstanceListing(
            service: "web", id: id, address: address, port: 80, tags: ["v1"], weight: 1, meta: [:], status: "passing",
            lease: lease, ttl: 15, revision: 7)
    }

    @Test func `what differs between two lists is told, what went first`() {
        let before = [instance("a"), instance("b"), instance("c", lease: "1")]
        let after = [instance("b", "10.0.0.2"), instance("c", lease: "2"), instance("d")]
        #expect(
            ServiceEvent.between(before, after) == [
                ServiceEvent(kind: .down, instance: before[0]), ServiceEvent(kind: .changed, instance: after[0]),
                ServiceEvent(kind: .up, instance: after[2]),
            ])
        #expect(ServiceEvent.between(after, after) == [])
    }

    @Test func `an answer of HTTP is read, and nothing else`() {
        func parse(_ text: String) -> String? {
            PlainHTTP.parse(Array(text.utf8)).map { "\($0.status) \(String(decoding: $0.body, as: UTF8.self))" }
        }
        #expect(parse("HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n{}") == "404 {}")
        #expect(parse("HTTP/1.0 200 OK\r\n\r\n") == "200 ")
        for text in ["", "HTTP/1.1 200 OK\r\n", "220 ESMTP\r\n\r\n", "HTTP/1.1 OK\r\n\r\n"] {
            #expect(parse(text) == nil, "\(text)")
        }
    }

    @Test func `instances are printed in every format there is`() throws {
        var listing = ServiceListing(service: "web", revision: 9, instances: [instance("a", "::1", lease: "255")])
        listing.instances[0].tags = ["v1", "blue"]
        func text(_ format: OutputFormat) throws -> String {
            String(decoding: try ServiceOutput.list(listing, json: [0x7b, 0x7d], format), as: UTF8.self)
        }
        #expect(try text(.simple) == "web/a\t[::1]:80\tpassing\tv1,blue\n")
        #expect(try text(.json) == "{}")
        #expect(try text(.table).contains("| [::1]:80 |"))
        #expect(try text(.fields).contains("\"Lease\" : 255\n"))
        #expect(throws: UnsupportedFormat.self) { try text(.protobuf) }
        let event = ServiceEvent(kind: .up, instance: listing.instances[0])
        let json = try JSONSerialization.jsonObject(with: Data(try ServiceOutput.event(event, .json)))
        #expect((json as? [String: Any])?["event"] as? String == "up")
        #expect(throws: UnsupportedFormat.self) { try ServiceOutput.event(event, .table) }
    }
}
