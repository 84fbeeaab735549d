import Foundation
import NIOCore
import NIOEmbedded
import Testing

@testable import MVCC
@testable import MartletServer

/// Lists of services and instances: what is asked, what is refused, and what is told.
struct ServiceListTests {
    private func query(
        _ target: String, _ service: String? = "web", known: [String] = ListQuery.items
    ) throws(APIError) -> ListQuery {
        try ListQuery(
            PlainRequest(method: "GET", target: target), service: service, limits: DiscoveryLimits(), known: known)
    }

    private func directory(_ fixture: ZoneFixture) throws -> ServiceDirectory {
        ServiceDirectory(store: try fixture.state.view, limits: DiscoveryLimits())
    }

    private func refusal(_ target: String, known: [String]) -> String? {
        do throws(APIError) {
            _ = try query(target, known: known)
            return nil
        } catch {
            return "\(error.status) \(error.message)"
        }
    }

    // MARK: What is asked

    @Test func `a stream is asked for as a list is, but does not wait`() throws {
        let asked = try query("/service/web?tag=V1&healthy=false&index=7", known: ListQuery.streamItems)
        #expect(asked.tags == ["v1"] && asked.withCritical && asked.index == Revision(7) && asked.wait == nil)
        #expect(refusal("/service/web?wait=5s", known: ListQuery.items) == nil)
        for target in ["/service/web?wait=5s", "/service/web?timeout=5s"] {
            let name = target.split(separator: "?")[1].prefix { $0 != "=" }
            #expect(
                refusal(target, known: ListQuery.streamItems)
                    == "400 there is no \"\(name)\" to ask for; there is tag, healthy, index")
        }
    }

    @Test func `a browser says how far it got`() throws {
        func last(_ text: String?) throws -> Int64? {
            let fields = text.map { [(name: "Last-Event-ID", value: $0)] } ?? []
            return try PlainRequest(method: "GET", target: "/service/web", fields: fields).lastEventID()
        }
        #expect(try last("44") == 44)
        #expect(try last(nil) == nil)
        #expect(try last("") == nil)
        for wrong in ["x", "-1", "4 4", "9223372036854775807", "99999999999999999999"] {
            #expect(throws: APIError.self, "\(wrong)") { try last(wrong) }
        }
    }

    // MARK: Names

    @Test func `a name that no service can have is refused in the words of a registration`() throws {
        let directory = try directory(.usual())
        for name in ["Web", "a.b", "-a", "a_b", "ä", String(repeating: "a", count: 64)] {
            let refusal = try #require(try query("/service/x", name).refusal(in: directory))
            #expect(refusal.status == 400 && refusal.code == "bad_request")
            #expect(throws: APIError.self) { try ServiceName.check(name, "a service") }
            do throws(APIError) { try ServiceName.check(name, "a service") } catch {
                #expect(error.message == refusal.message)
            }
        }
        // None of these has an instance, and one of them might.
        for name in ["web", "none", "a", "0-0"] {
            #expect(try query("/service/x", name).refusal(in: directory) == nil)
        }
        #expect(try query("/service", nil).refusal(in: directory) == nil)
    }

    @Test func `one that a client of etcd uses is listed all the same`() throws {
        var fixture = try ZoneFixture.usual()
        try fixture.put("services/My_API/a", #"{"Op":0,"Addr":"10.0.0.7:50051"}"#)
        let directory = try directory(fixture)
        #expect(try query("/service/x", "My_API").refusal(in: directory) == nil)
        #expect(try query("/service/x", "My_AP").refusal(in: directory) != nil)
        #expect(try directory.services().services.map(\.name).contains("My_API"))
    }

    // MARK: What is told

    @Test func `an event is the answer in one line, under its revision`() throws {
        let directory = try directory(.usual())
        for (service, name) in [("web", "instances"), (nil, "services")] {
            let list = try ServiceList(query("/service/x", service), in: directory)
            let body = String(buffer: ServiceAnswer.list(list).body)
            #expect(body.split(separator: "\n").count == 1)
            #expect(
                String(buffer: ServiceAnswer.event(list))
                    == "event: \(name)\nid: \(directory.store.revision.rawValue)\ndata: \(body)\n")
        }
    }

    @Test func `a list is another one only if somebody would notice`() throws {
        var fixture = try ZoneFixture.usual()
        func content(_ target: String, _ service: String?) throws -> ServiceList.Content {
            try ServiceList(query(target, service), in: directory(fixture)).content
        }
        let tagged = try content("/service/web?tag=v2", "web")
        let all = try content("/service/web", "web")
        let names = try content("/service", nil)
        let moved = ServiceInstance(address: "10.0.0.9", port: 8_080, tags: ["v1"])
        try fixture.register("web", "web-1", moved)
        #expect(try content("/service/web?tag=v2", "web") == tagged)
        #expect(try content("/service/web", "web") != all)
        #expect(try content("/service", nil) == names)
        try fixture.register("web", "web-3", moved)
        #expect(try content("/service", nil) != names)
        #expect(try content("/service/web?tag=v2", "web").hashValue == tagged.hashValue)
    }

    @Test func `streams of one list share it for as long as it is new enough`() throws {
        var fixture = try ZoneFixture.usual()
        let lists = SharedLists(eventLoop: EmbeddedEventLoop(), bytesMax: 8 << 20)
        func told(_ target: String, since revision: Revision) throws -> SharedLists.Told {
            try lists.list(query(target), since: revision, in: directory(fixture))
        }
        lists.enter()
        let begin = try directory(fixture).store.revision
        let first = try told("/service/web", since: begin)
        #expect(first.revision == begin)
        try fixture.put("elsewhere", "x")
        let now = try directory(fixture).store.revision
        #expect(try told("/service/web", since: begin).revision == begin)
        // An instance that another tag has is no other list, and another query is not answered with this one.
        #expect(try told("/service/web?tag=v2", since: begin).revision == now)
        #expect(try told("/service/web?tag=v2", since: begin).mark != first.mark)
        let later = try told("/service/web", since: now)
        #expect(later.revision == now && later.mark == first.mark)
        // The last one leaves nothing.
        try fixture.put("elsewhere", "y")
        lists.leave()
        lists.enter()
        #expect(try told("/service/web", since: now).revision > now)
    }

    @Test func `lists are shared up to a limit`() throws {
        var fixture = try ZoneFixture.usual()
        let lists = SharedLists(eventLoop: EmbeddedEventLoop(), bytesMax: 100)
        let begin = try directory(fixture).store.revision
        let first = try lists.list(query("/service/web"), since: begin, in: directory(fixture))
        #expect(first.revision == begin && first.event.readableBytes > 100)
        try fixture.put("elsewhere", "x")
        #expect(try lists.list(query("/service/web"), since: begin, in: directory(fixture)).revision > begin)
    }
}
