import MVCC
import NIOCore
import Raft
import Replica

/// `/lease/…`: leases by name, with the paths, forms and bodies that raftd has.
struct LeaseRoutes: Sendable {
    let api: HTTPAPI

    private static let keepAlivePrefix = "/lease/keepalive/"
    private static let findPrefix = "/lease/kv/"
    private static let revokePrefix = "/lease/revoke/"
    private static let timeToLivePrefix = "/lease/timetolive/"

    func register(in router: inout PlainRouter) {
        typealias Route = @Sendable (APICall) throws(APIError) -> Void
        let otherMethod = APIError.methodNotAllowed(["POST"]).response
        let bytesMax = api.context.limits.requestBytesMax
        let body = PlainRouter.BodyRule(
            bytesMax: bytesMax, tooLarge: APIError.tooLarge(bytesMax).response,
            tooMany: APIError.tooManyRequests.response)
        func handler(_ route: @escaping Route) -> PlainRouter.Handler {
            { request, eventLoop, respond in
                let call = APICall(request: request, eventLoop: eventLoop, respond: respond)
                do throws(APIError) {
                    try route(call)
                } catch {
                    call.fail(error)
                }
            }
        }
        router.on(
            ["POST"], "/lease/grant", otherMethod: otherMethod, body: body,
            handler { call throws(APIError) in try grant(call) })
        let below: [(String, Route)] = [
            (Self.keepAlivePrefix, { call throws(APIError) in try keepAlive(call) }),
            (Self.findPrefix, { call throws(APIError) in try find(call) }),
            (Self.revokePrefix, { call throws(APIError) in try revoke(call) }),
            (Self.timeToLivePrefix, { call throws(APIError) in try timeToLive(call) }),
        ]
        for (prefix, route) in below {
            router.on(["POST"], below: prefix, otherMethod: otherMethod, body: body, handler(route))
        }
    }

    /// In raftd's words and quotes.
    private static let unknownLease = PlainResponse(
        status: 404, contentType: "application/json", body: #""can not find this Lease""#)

    // MARK: What requests say

    private func leaseID(_ call: APICall, behind prefix: String) throws(APIError) -> LeaseID {
        let text = String(decoding: try PercentCoding.pathBytes(call.request.path, behind: prefix), as: UTF8.self)
        return try QueryItems.leaseID(text, "what follows \(prefix)")
    }

    private func query(_ call: APICall, _ known: [String] = []) throws(APIError) -> QueryItems {
        try QueryItems(call.request.query.utf8, known: known + ["redirect"])
    }

    private func form(_ call: APICall, _ wanted: [String]) throws(APIError) -> QueryItems {
        try QueryItems(call.request.body.readableBytesView, wanted: wanted)
    }

    private func name(_ bytes: [UInt8]?, _ what: String) throws(APIError) -> [UInt8] {
        guard let bytes, !bytes.isEmpty else { throw .badRequest("\(what) is missing") }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .badRequest("\(what) is not UTF-8") }
        guard text.unicodeScalars.count <= api.limits.nameLengthMax else {
            throw .badRequest("\(what) has more than \(api.limits.nameLengthMax) characters")
        }
        return bytes
    }

    // MARK: Granting

    private func grant(_ call: APICall) throws(APIError) {
        let items = try query(call, ["ttl", "name"])
        guard let ttl = try items.ttl() else { throw .badRequest("ttl is missing: seconds, or a duration like 30s") }
        let name = try self.name(items.bytes("name"), "name")
        if let response = try api.redirection(of: call.request, items) { return call.respond(response) }
        api.keys.commit(on: call.eventLoop, ttl: ttl) { lease in
            Transaction(success: [
                .put(PutOperation(key: NamedLeases.idKey(lease), value: name, lease: lease)),
                .put(PutOperation(key: NamedLeases.nameKey(name, lease), value: [], lease: lease)),
            ])
        } _: { result in
            switch result {
            case .failure(let error): call.fail(error)
            case .success(let answer):
                guard let lease = answer.lease else { return call.fail(.anotherKind) }
                call.respond(
                    PlainResponse(
                        status: 200, contentType: "application/json", body: "\(lease.id.rawValue)",
                        fields: KeyAnswer.fields(ofRevision: answer.revision.rawValue)
                            + [("x-martlet-lease-ttl", "\(lease.ttl)")]))
            }
        }
    }

    // MARK: Keeping alive

    private func keepAlive(_ call: APICall) throws(APIError) {
        let id = try leaseID(call, behind: Self.keepAlivePrefix)
        let items = try query(call)
        let form = try form(call, ["key", "data"])
        let key = try name(form.bytes("key"), "key (a field of the form)")
        guard let data = form.bytes("data"), !data.isEmpty else {
            throw .badRequest("data (a field of the form) is missing")
        }
        guard JSONCheck.isValue(data) else {
            throw .badRequest(
                "data is not JSON: an object like {\"addr\":\"10.0.0.1:80\"}, or a text in quotes; where it holds "
                    + "& % or +, send it with curl --data-urlencode")
        }
        if let response = try api.redirection(of: call.request, items) { return call.respond(response) }
        api.keys.view(.default, on: call.eventLoop) { result in
            switch result {
            case .failure(let error): call.fail(error)
            case .success(let view): keepAlive(id, key: key, data: data, in: view.store, call)
            }
        }
    }

    private func keepAlive(_ id: LeaseID, key: [UInt8], data: [UInt8], in view: ReadView, _ call: APICall) {
        do throws(ReadError) {
            guard let name = try name(of: id, in: view) else { return call.respond(Self.unknownLease) }
            let row = NamedLeases.dataKey(name, id, key)
            if let now = try view.pair(row), now.value == data, now.lease == id { return renew(id, call) }
            api.keys.commit(on: call.eventLoop, ttl: nil) { _ in
                Transaction(success: [.put(PutOperation(key: row, value: data, lease: id))])
            } _: { result in
                switch result {
                case .failure(let error) where error.code == "lease_not_found": call.respond(Self.unknownLease)
                case .failure(let error): call.fail(error)
                case .success: renew(id, call)
                }
            }
        } catch {
            call.fail(api.context.apiError(of: error))
        }
    }

    private func renew(_ id: LeaseID, _ call: APICall) {
        api.context.requests(on: call.eventLoop).renewals.renew(id) { result in
            switch result {
            case .failure(let failure): call.fail(APIError(failure))
            case .success(let renewal): call.respond(renewal.ttl > 0 ? APICall.null : Self.unknownLease)
            }
        }
    }

    /// Empty for a lease that was granted without one, by a client of etcd's API; nil: there is no such lease.
    private func name(of id: LeaseID, in view: ReadView) throws(ReadError) -> [UInt8]? {
        if let row = try view.pair(NamedLeases.idKey(id)), row.lease == id { return row.value }
        do throws(StateError) {
            return try view.lease(id) == nil ? nil : []
        } catch {
            throw .state(error)
        }
    }

    // MARK: Finding

    private func find(_ call: APICall) throws(APIError) {
        // raftd wants a key here, and does not look at it.
        guard call.request.path.utf8.count > Self.findPrefix.utf8.count else {
            throw .badRequest("a key is missing behind \(Self.findPrefix) (any: it is not looked at)")
        }
        _ = try PercentCoding.pathBytes(call.request.path, behind: Self.findPrefix)
        let items = try query(call, ["level"])
        let level = try ReadLevel(items)
        let prefix = try name(try form(call, ["prefix"]).bytes("prefix"), "prefix (a field of the form)")
        if let response = try api.redirection(of: call.request, items, level) { return call.respond(response) }
        api.read(level, for: call) { (view) throws(ReadError) in try find(prefix, in: view) }
    }

    private func find(_ prefix: [UInt8], in view: ReadView) throws(ReadError) -> PlainResponse {
        var json = JSONBuffer(capacity: 4096)
        json.raw("[")
        var isFirst = true
        var isTooLarge = false
        try view.forEachPair(in: NamedLeases.range(ofPrefix: prefix)) { pair in
            // Anybody may write such keys: what ends with no lease, or would break the answer, is not ours.
            guard let row = NamedLeases.parse(pair.key), row.id == pair.lease, JSONCheck.isValue(pair.value) else {
                return true
            }
            if !isFirst { json.raw(",") }
            isFirst = false
            json.raw(pair.value)
            isTooLarge = json.count > api.limits.discoveryBytesMax
            return !isTooLarge
        }
        guard !isTooLarge else {
            return APIError.badRequest(
                "more than \(api.limits.discoveryBytesMax) bytes of data: search by a longer prefix"
            ).response
        }
        json.raw("]")
        return PlainResponse(
            status: 200, contentType: "application/json", body: json.buffer,
            fields: KeyAnswer.fields(ofRevision: view.revision.rawValue))
    }

    // MARK: Ending, and how long still

    private func revoke(_ call: APICall) throws(APIError) {
        let id = try leaseID(call, behind: Self.revokePrefix)
        let items = try query(call)
        if let response = try api.redirection(of: call.request, items) { return call.respond(response) }
        let status = api.context.node.published.status
        guard status.leader != nil, !status.isJoining else { throw .noLeaderKnown }
        api.context.requests(on: call.eventLoop).propose(.revoke(id)) { result in
            switch result {
            case .success(.lease(let outcome)):
                switch outcome.result {
                case .revoked: call.respond(APICall.null)
                case .failed(.leaseNotFound): call.respond(Self.unknownLease)
                case .failed(let error): call.fail(APIError(error))
                default: call.fail(.anotherKind)
                }
            case .success: call.fail(.anotherKind)
            case .failure(let failure): call.fail(APIError(failure))
            }
        }
    }

    private func timeToLive(_ call: APICall) throws(APIError) {
        let id = try leaseID(call, behind: Self.timeToLivePrefix)
        let items = try query(call, ["level"])
        let level = try ReadLevel(items)
        if let response = try api.redirection(of: call.request, items, level) { return call.respond(response) }
        api.read(level, for: call) { (view) throws(ReadError) in try timeToLive(of: id, in: view) }
    }

    private func timeToLive(of id: LeaseID, in view: ReadView) throws(ReadError) -> PlainResponse {
        let lease: Lease?
        let attached: [[UInt8]]
        do throws(StateError) {
            lease = try view.lease(id)
            attached = lease == nil ? [] : try view.keys(of: id)
        } catch {
            throw .state(error)
        }
        guard let lease, let name = try name(of: id, in: view) else { return Self.unknownLease }
        let remaining = lease.deadline.milliseconds(since: api.context.leaseClock.estimate) / 1_000
        var json = JSONBuffer()
        json.raw("{\"id\":\"\(id.rawValue)\",\"name\":")
        name.withUnsafeBytes { json.string(String(decoding: $0, as: UTF8.self)) }
        json.raw(",\"ttl\":\(remaining),\"granted_ttl\":\(lease.ttl),\"data\":[")
        var isFirst = true
        try view.forEachPair(in: NamedLeases.dataRange(name, id)) { pair in
            guard let row = NamedLeases.parse(pair.key), row.id == id, pair.lease == id, JSONCheck.isValue(pair.value)
            else { return true }
            json.raw(isFirst ? "{\"key\":" : ",{\"key\":")
            isFirst = false
            json.string(String(decoding: row.key, as: UTF8.self))
            json.raw(",\"data\":")
            json.raw(pair.value)
            json.raw("}")
            return true
        }
        json.raw("],\"keys\":[")
        isFirst = true
        for key in attached where !ReservedKeys.holds(key) {
            json.raw(isFirst ? "{" : ",{")
            isFirst = false
            json.bytes("key", key)
            json.raw("}")
        }
        json.raw("]}\n")
        return PlainResponse(status: 200, contentType: "application/json", body: json.buffer)
    }
}
