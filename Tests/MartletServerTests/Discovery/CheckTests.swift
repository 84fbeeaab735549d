import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import MVCC
@testable import MartletServer

struct CheckScheduleTests {
    private func definition(
        _ id: String, _ revision: Int64 = 1, failures: Int64 = 2, forgetAfter: Int64? = nil
    ) -> CheckSchedule.Definition {
        let check = ServiceCheck(
            kind: .tcp, intervalMilliseconds: 10_000, failuresMax: failures, deregisterAfterMilliseconds: forgetAfter)
        let instance = ServiceInstance(address: "10.0.0.1", port: 1, check: check)
        return .init(
            service: "s", id: id, instance: instance, check: check, value: ServiceRecord.bytes(of: instance),
            modRevision: Revision(revision))
    }

    /// A schedule, and a clock in seconds since its beginning.
    private final class Course {
        private var schedule: CheckSchedule
        private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

        init(_ definitions: CheckSchedule.Definition..., atOnce: Int = 8) {
            schedule = CheckSchedule(atOnceMax: atOnce)
            update(definitions)
        }

        /// All that is to be checked from now on; what is known is left as it is.
        func update(_ definitions: [CheckSchedule.Definition]) {
            func key(_ id: String) -> [UInt8] { ServiceLayout.checkKey("s", id) }
            let known = schedule.revisions
            let changed = definitions.filter { known[key($0.id)] != $0.modRevision }
            schedule.update(
                keys: Set(definitions.map { key($0.id) }),
                changed: Dictionary(uniqueKeysWithValues: changed.map { (key($0.id), $0) }), now: start)
        }

        func due(_ seconds: Int64) -> [CheckSchedule.Definition] { schedule.takeDue(at: start + .seconds(seconds)) }

        func judge(_ definition: CheckSchedule.Definition, _ passed: Bool, _ seconds: Int64) -> CheckSchedule.Action? {
            schedule.judge(definition, passed: passed, at: start + .seconds(seconds))
        }

        func finish(_ definition: CheckSchedule.Definition, _ seconds: Int64) {
            schedule.finish(definition, at: start + .seconds(seconds))
        }

        var counts: [Int] { [schedule.count, schedule.underWayCount] }
    }

    @Test func `a check is made at once, once at a time, and again after its interval`() {
        let a = definition("a")
        let course = Course(a)
        #expect(course.due(0) == [a])
        #expect(course.due(60) == [])
        #expect(course.judge(a, true, 61) == .list)
        course.finish(a, 61)
        #expect(course.due(70) == [])
        #expect(course.due(71) == [a])
    }

    @Test func `one failure is none, two are, and one success ends them`() {
        let a = definition("a")
        let course = Course(a)
        func actions(_ outcomes: Bool...) -> [CheckSchedule.Action?] { outcomes.map { course.judge(a, $0, 0) } }
        #expect(actions(false, false, false) == [.keep, .hide, .hide])
        #expect(actions(true, false, false, true, false) == [.list, .keep, .hide, .list, .keep])
    }

    @Test func `what is ill for too long is forgotten, counted from its first failure`() {
        let a = definition("a", forgetAfter: 60_000)
        let course = Course(a)
        #expect(course.judge(a, false, 0) == .keep)
        #expect(course.judge(a, false, 59) == .hide)
        #expect(course.judge(a, false, 60) == .forget)
        #expect(course.judge(a, true, 61) == .list)
        #expect(course.judge(a, false, 120) == .keep)
    }

    @Test func `as many as may be are under way at once, and those that wait longest come first`() {
        let course = Course(definition("a"), definition("b"), definition("c"), atOnce: 2)
        let first = course.due(0)
        #expect(first.map(\.id) == ["a", "b"])
        #expect(course.due(0) == [])
        course.finish(first[1], 1)
        #expect(course.due(60).map(\.id) == ["c"])
        #expect(course.counts == [3, 2])
    }

    @Test func `what was changed or taken back meanwhile is not judged by what it was`() {
        let (old, new) = (definition("a", 1), definition("a", 2))
        let course = Course(old)
        #expect(course.due(0) == [old])
        course.update([new])
        #expect(course.judge(old, false, 0) == nil)
        course.finish(old, 0)
        #expect(course.counts == [1, 0])
        #expect(course.due(0) == [new])
        course.update([])
        #expect(course.counts == [0, 0])
        #expect(course.judge(new, true, 0) == nil)
    }
}

/// Probes of servers of every kind, and of none.
struct ServiceProbeTests {
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// Says something to whoever connects, and nothing else.
    private func server(_ text: String?, closes: Bool = false) async throws -> any Channel {
        try await ServerBootstrap(group: Self.group)
            .childChannelInitializer { channel in
                if let text { channel.writeAndFlush(ByteBuffer(string: text), promise: nil) }
                if closes { channel.close(promise: nil) }
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    private func probe(_ kind: ServiceCheck.Kind, _ port: Int) async throws -> ServiceProbe.Outcome {
        let check = ServiceCheck(kind: kind, timeoutMilliseconds: 300)
        return try await ServiceProbe.run(
            check, host: "127.0.0.1", port: UInt16(port), on: Self.group.next()
        ).get()
    }

    private func outcome(
        _ kind: ServiceCheck.Kind, _ text: String?, closes: Bool = false
    ) async throws -> ServiceProbe.Outcome {
        let server = try await server(text, closes: closes)
        let outcome = try await probe(kind, server.localAddress?.port ?? 0)
        try await server.close().get()
        return outcome
    }

    private func reason(_ outcome: ServiceProbe.Outcome) -> String {
        if case .failed(let reason) = outcome { reason } else { "passed" }
    }

    @Test func `TCP passes where somebody listens`() async throws {
        let server = try await server(nil)
        let port = server.localAddress?.port ?? 0
        #expect(try await probe(.tcp, port) == .passed)
        try await server.close().get()
        #expect(reason(try await probe(.tcp, port)) == "Connection refused")
    }

    @Test func `HTTP passes with 2xx alone`() async throws {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", "passed"), ("HTTP/1.0 204 No Content\r\n\r\n", "passed"),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP status 503"),
            ("HTTP/1.1 301 Moved\r\nLocation: http://10.0.0.1/\r\n\r\n", "HTTP status 301"),
            ("220 mail.example.com ESMTP\r\n", "the answer is not HTTP"),
            (String(repeating: "x", count: 20_000), "the answer has no first line"),
        ] {
            #expect(reason(try await outcome(.http(path: "/"), text)) == expected)
        }
        let closed = reason(try await outcome(.http(path: "/"), nil, closes: true))
        #expect(closed == "the connection was closed without an answer" || closed.contains("reset"), "\(closed)")
    }

    @Test func `who says nothing has failed in time`() async throws {
        let begin = ContinuousClock.now
        #expect(reason(try await outcome(.http(path: "/"), nil)) == "no answer within 300ms")
        #expect(reason(try await outcome(.http(path: "/"), "HTTP/1.1 20")) == "no answer within 300ms")
        let grpc = reason(try await outcome(.grpc(service: ""), nil))
        #expect(grpc != "passed", "\(grpc)")
        // Three timeouts, on a machine that does much else.
        #expect(ContinuousClock.now - begin < .seconds(30))
    }

    @Test func `gRPC fails where there is none`() async throws {
        #expect(reason(try await outcome(.grpc(service: "x"), "HTTP/1.1 400 Bad Request\r\n\r\n")) != "passed")
        #expect(reason(try await outcome(.grpc(service: "x"), nil, closes: true)) != "passed")
    }
}
