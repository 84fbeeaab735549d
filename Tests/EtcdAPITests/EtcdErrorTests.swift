import EtcdAPI
import Testing

struct EtcdErrorTests {
    @Test func `every text names one error, and is found again by it`() {
        #expect(EtcdError.allCases.count == 63)
        for error in EtcdError.allCases {
            #expect(EtcdError(message: error.message) == error)
            #expect(error.message.hasPrefix("etcdserver: "))
            #expect(error.code != .ok && error.code != .unknown)
        }
        #expect(EtcdError(message: "etcdserver: something else") == nil)
    }

    @Test func `texts and codes are etcd's`() {
        #expect(EtcdError.compacted.message == "etcdserver: mvcc: required revision has been compacted")
        #expect(EtcdError.compacted.code.rawValue == 11)
        #expect(EtcdError.noSpace.code.rawValue == 8)
        #expect(EtcdError.leaseNotFound.code.rawValue == 5)
        #expect(EtcdError.emptyKey.code.rawValue == 3)
        #expect(EtcdError.permissionDenied.code.rawValue == 7)
        #expect(EtcdError.invalidAuthToken.code.rawValue == 16)
        #expect(EtcdError.corrupt.code.rawValue == 15)
        #expect(EtcdError.noLeader.code.rawValue == 14)
        #expect(EtcdError.deadlineExceeded.code.rawValue == 4)
        #expect(EtcdError.watchCanceled.code.rawValue == 1)
        #expect(EtcdError.notCapable.code.rawValue == 9)
    }

    @Test func `the gateway's HTTP status follows from the code`() {
        #expect(EtcdError.emptyKey.code.httpStatus == 400)
        #expect(EtcdError.leaseNotFound.code.httpStatus == 404)
        #expect(EtcdError.noSpace.code.httpStatus == 429)
        #expect(EtcdError.canceled.code.httpStatus == 499)
        #expect(EtcdError.timeout.code.httpStatus == 503)
    }

    @Test func `every call has a path of service and method`() {
        #expect(EtcdMethod.allCases.count == 52)
        #expect(EtcdMethod.range.rawValue == "/etcdserverpb.KV/Range")
        #expect(EtcdMethod.watch.kind == .bidirectional)
        #expect(EtcdMethod.snapshot.kind == .serverStream)
        #expect(EtcdMethod(rawValue: "/v3lockpb.Lock/Lock") == .lock)
    }
}
