import EtcdAPI
import Foundation
import HTTP2
import NIOCore
import SwiftProtobuf
import Testing

@testable import MartletServer

@Suite struct GatewayTableTests {
    func route(_ path: String) throws -> GatewayRoute {
        try #require(GatewayTable.routes.first { $0.path == path })
    }

    func decode<M: SwiftProtobuf.Message>(_ path: String, _ json: String, _: M.Type) throws -> M {
        try M(serializedBytes: Array(try route(path).decode(ByteBuffer(string: json)).readableBytesView))
    }

    @Test func `every method of etcd 3-6 has a path, and no path is there twice`() {
        let covered = Set(GatewayTable.routes.map(\.method))
        let withoutPath: Set<EtcdMethod> = [.rangeStream, .healthCheck, .healthList, .healthWatch]
        #expect(Set(EtcdMethod.allCases).subtracting(covered) == withoutPath)
        #expect(Set(GatewayTable.routes.map(\.path)).count == GatewayTable.routes.count)
        #expect(GatewayTable.routes.count == 51)
    }

    @Test func `numbers may be strings, names may be of either kind, and what is unknown is ignored (W2)`() throws {
        let path = "/v3/kv/range"
        for json in [
            #"{"key":"Zm9v","range_end":"AA==","limit":"9007199254740993","sort_order":"DESCEND","sort_target":3}"#,
            #"{"key":"Zm9v","rangeEnd":"AA","limit":9007199254740993,"sortOrder":2,"sortTarget":"MOD","x":[{"y":1}]}"#,
        ] {
            let request = try decode(path, json, Etcdserverpb_RangeRequest.self)
            #expect(request.key == Data("foo".utf8))
            #expect(request.rangeEnd == Data([0]))
            #expect(request.limit == 9_007_199_254_740_993)
            #expect(request.sortOrder == .descend)
            #expect(request.sortTarget == .mod)
        }
    }

    @Test func `a number in a string is no name of an enum and is ignored, a number is kept`() throws {
        let ignored = try decode("/v3/kv/range", #"{"sort_target":"9"}"#, Etcdserverpb_RangeRequest.self)
        #expect(ignored.sortTarget == .key)
        let kept = try decode("/v3/kv/range", #"{"sort_target":9}"#, Etcdserverpb_RangeRequest.self)
        #expect(kept.sortTarget == .UNRECOGNIZED(9))
    }

    @Test(arguments: [
        #"{"key":5}"#, #"{"key":"***"}"#, #"{"limit":"x"}"#, #"{"limit":99999999999999999999}"#,
        #"{"serializable":"yes"}"#, #"{"key":"Zm9v""#, #"{"key" "Zm9v"}"#, #"{"limit":1.5}"#, #"{"key":["Zm9v"]}"#,
    ])
    func `wrong types and broken JSON are refused as INVALID_ARGUMENT`(json: String) throws {
        let error = #expect(throws: GatewayError.self) {
            try route("/v3/kv/range").message(ByteBuffer(string: json))
        }
        #expect(error?.status.code == .invalidArgument)
    }

    @Test func `two branches of a oneof are refused`() throws {
        let json = #"{"success":[{"request_put":{"key":"YQ=="},"request_range":{"key":"YQ=="}}]}"#
        #expect(throws: GatewayError.self) { try route("/v3/kv/txn").message(ByteBuffer(string: json)) }
    }

    @Test func `answers have the protocol's names, strings for long numbers, and no zeros (W3)`() throws {
        var response = Etcdserverpb_RangeResponse()
        response.header.clusterID = .max
        response.header.revision = 7
        var pair = Mvccpb_KeyValue()
        pair.key = Data([0xff, 0xfe, 0])
        pair.createRevision = 3
        response.kvs = [pair]
        response.count = 1
        let bytes: [UInt8] = try response.serializedBytes()
        #expect(
            String(buffer: try route("/v3/kv/range").encode(ByteBuffer(bytes: bytes)))
                == #"{"header":{"cluster_id":"18446744073709551615","revision":"7"},"#
                + #""kvs":[{"key":"//4A","create_revision":"3"}],"count":"1"}"#)
        #expect(String(buffer: try route("/v3/kv/range").encode(ByteBuffer())) == "{}")

        var grant = Etcdserverpb_LeaseGrantResponse()
        grant.id = 5
        grant.ttl = 10
        let grantBytes: [UInt8] = try grant.serializedBytes()
        #expect(
            String(buffer: try route("/v3/lease/grant").encode(ByteBuffer(bytes: grantBytes)))
                == #"{"ID":"5","TTL":"10"}"#)
        var alarm = Etcdserverpb_AlarmResponse()
        var member = Etcdserverpb_AlarmMember()
        member.alarm = .nospace
        member.memberID = 1
        alarm.alarms = [member]
        let alarmBytes: [UInt8] = try alarm.serializedBytes()
        #expect(
            String(buffer: try route("/v3/maintenance/alarm").encode(ByteBuffer(bytes: alarmBytes)))
                == #"{"alarms":[{"memberID":"1","alarm":"NOSPACE"}]}"#)
    }

    @Test(arguments: [
        (GRPCCode.invalidArgument, 400), (.failedPrecondition, 400), (.outOfRange, 400), (.notFound, 404),
        (.permissionDenied, 403), (.resourceExhausted, 429), (.unauthenticated, 401), (.unavailable, 503),
        (.deadlineExceeded, 504), (.cancelled, 499), (.unknown, 500), (.internalError, 500), (.dataLoss, 500),
        (.unimplemented, 501), (.alreadyExists, 409), (.aborted, 409), (.ok, 200),
    ])
    func `errors have etcd's HTTP status (W6)`(code: GRPCCode, status: Int) {
        #expect(code.httpStatus == status)
        let response = GatewayError(code, "a \"b\"").response
        #expect(response.status == status)
        #expect(
            String(buffer: response.body)
                == #"{"error":"a \"b\"","code":\#(code.rawValue),"message":"a \"b\""}"#)
    }
}
