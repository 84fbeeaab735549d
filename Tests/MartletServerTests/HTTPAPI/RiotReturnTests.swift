import Foundation
import MVCC
import NIOCore
import Raft
import Testing

@testable import MartletServer

/// What Riot's later routes answer with: the bytes of the source, and its codes.
@Suite struct RiotReturnTests {
    private func text(_ response: PlainResponse) -> String { String(buffer: response.body) }

    private func object(_ response: PlainResponse) throws -> [String: Any] {
        let object = try JSONSerialization.jsonObject(with: Data(response.body.readableBytesView))
        return try #require(object as? [String: Any])
    }

    @Test func `what was done is told in Riot's bytes`() {
        let done = RiotReturn.done()
        #expect(done.status == 200)
        #expect(text(done) == "{\"ret\":0}\n")
        #expect(done.fields.first { $0.name == "content-type" }?.value == "application/json")
        #expect(text(RiotReturn.done { $0.string("127.0.0.1:12000") }) == "{\"data\":\"127.0.0.1:12000\",\"ret\":0}\n")
        #expect(text(RiotReturn.done { $0.raw("1") }) == "{\"data\":1,\"ret\":0}\n")
    }

    @Test func `a value is text, or Base64 that says so`() throws {
        #expect(
            text(RiotReturn.done { $0.riotValue(Array(#"{"Age":100}"#.utf8)) })
                == #"{"data":"{\"Age\":100}","ret":0}"# + "\n")
        #expect(text(RiotReturn.done { $0.riotValue([]) }) == "{\"data\":\"\",\"ret\":0}\n")
        let all = (0...255).map { UInt8($0) }
        let binary = try object(RiotReturn.done { $0.riotValue(all) })
        #expect(binary["data_encoding"] as? String == "base64")
        #expect((binary["data"] as? String).flatMap { Data(base64Encoded: $0) } == Data(all))
        #expect(binary["ret"] as? Int == 0)
        let control = try object(RiotReturn.done { $0.riotValue(Array(all[..<0x80])) })
        #expect((control["data"] as? String)?.utf8.elementsEqual(all[..<0x80]) == true)
        #expect(control["data_encoding"] == nil)
    }

    @Test(arguments: [
        (RiotReturn.Code.done, 0, 200), (.serverError, 1, 500), (.invalidRequest, 2, 403), (.forbidden, 3, 403),
        (.notFound, 4, 404),
    ])
    func `codes have Riot's numbers, and its statuses`(code: RiotReturn.Code, number: Int, status: Int) {
        #expect(code.rawValue == number)
        #expect(code.status == status)
    }

    @Test(arguments: [
        (APIError.badRequest("a \"b\"\n"), 403, 2), (.notFound("x"), 404, 4), (.tooLarge(9), 413, 2),
        (.tooManyRequests, 429, 1), (.noLeaderKnown, 503, 1), (APIError(RequestFailure.timedOut), 504, 1),
        (APIError(RequestError.noSpace), 507, 1), (APIError(RequestError.corruptCluster), 500, 1),
        (.anotherKind, 500, 1), (APIError(RequestFailure.stopped), 503, 1),
    ])
    func `errors keep the statuses that say more than Riot's`(error: APIError, status: Int, code: Int) throws {
        let response = RiotReturn.failed(error)
        #expect(response.status == status)
        let object = try object(response)
        #expect(object["ret"] as? Int == code)
        #expect(object["msg"] as? String == error.message)
        #expect(object.count == 2)
        let retries = response.fields.contains { $0.name == "retry-after" }
        #expect(retries == [429, 503].contains(status))
    }

    @Test(arguments: [
        (JoinRefusal.Code.badRequest, 403, 2), (.unknownMember, 404, 4), (.noLeader, 503, 1), (.notReady, 503, 1),
        (.quorum, 409, 3), (.refused, 409, 3), (.removed, 409, 3), (.unreachable, 422, 1),
    ])
    func `so do refusals of members`(refused: JoinRefusal.Code, status: Int, code: Int) throws {
        let response = RiotReturn.failed(JoinRefusal(refused, "why"))
        #expect(response.status == status)
        #expect(try object(response)["ret"] as? Int == code)
        #expect(response.fields.contains { $0.name == "retry-after" } == (status == 503))
    }

    @Test func `qs is 0 or 1`() throws {
        func level(_ query: String) throws(APIError) -> ReadLevel {
            try ReadLevel(riot: try QueryItems(query.utf8, wanted: ["qs"]))
        }
        #expect(try level("qs=0") == .stale)
        #expect(try level("qs=1") == .default)
        #expect(try level("") == .default)
        for wrong in ["qs=", "qs", "qs=2", "qs=true", "qs=01", "qs=%ff", "qs=0&qs=1"] {
            #expect(throws: APIError.self, "\(wrong)") { try level(wrong) }
        }
    }

    @Test func `every one of these routes is described`() throws {
        let document = try object(OpenAPI.response)
        let paths = try #require(document["paths"] as? [String: [String: Any]])
        for (path, methods) in [
            ("/riot/bucket", ["post"]), ("/riot/bucket/{bucket}", ["delete", "get"]),
            ("/riot/bucket/{bucket}/key/{key}", ["delete", "get", "post"]), ("/riot/admin/leader", ["get"]),
            ("/riot/admin/peers", ["get"]), ("/riot/admin/states", ["get"]), ("/riot/admin/snapshot", ["get"]),
            ("/riot/admin/remove", ["post"]),
        ] {
            let described = try #require(paths[path], "\(path)").keys.filter { $0 != "parameters" }
            #expect(described.sorted() == methods, "\(path)")
        }
    }
}
