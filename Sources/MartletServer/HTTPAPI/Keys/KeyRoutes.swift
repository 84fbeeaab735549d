import MVCC
import NIOCore
import Replica

/// `/key/{key}`: keys with raw bodies.
struct KeyRoutes: Sendable {
    let api: HTTPAPI

    static let prefix = "/key/"
    private static let methods = ["GET", "HEAD", "PUT", "DELETE"]

    func register(in router: inout PlainRouter) {
        let bytesMax = api.context.limits.requestBytesMax
        router.on(
            Self.methods, below: Self.prefix, otherMethod: APIError.methodNotAllowed(Self.methods).response,
            body: PlainRouter.BodyRule(
                bytesMax: bytesMax, tooLarge: APIError.tooLarge(bytesMax).response,
                tooMany: APIError.tooManyRequests.response),
            streams: PlainRouter.Streams(isAsked: \.wantsEvents) { request, answer in stream(request, answer) }
        ) { request, eventLoop, respond in
            let call = APICall(request: request, eventLoop: eventLoop, respond: respond)
            do throws(APIError) {
                let key = try PercentCoding.pathBytes(request.path, behind: Self.prefix)
                switch request.method {
                case "PUT": try put(key, call)
                case "DELETE": try delete(key, call)
                default: try get(key, call)
                }
            } catch {
                call.fail(error)
            }
        }
    }

    private static func needKey(_ key: [UInt8]) throws(APIError) {
        guard !key.isEmpty else {
            throw .badRequest("no key behind /key/; /key/?prefix lists all keys")
        }
    }

    private static func forWriting(_ key: [UInt8]) throws(APIError) {
        try needKey(key)
        guard !ReservedKeys.holds(key) else {
            throw .badRequest("keys that begin with \(String(decoding: ReservedKeys.root, as: UTF8.self)) are reserved")
        }
    }

    // MARK: Reading

    private static let getItems = [
        "level", "rev", "prefix", "keys", "limit", "continue", "wait", "index", "timeout", "redirect",
    ]

    private func get(_ key: [UInt8], _ call: APICall) throws(APIError) {
        let items = try QueryItems(call.request.query.utf8, known: Self.getItems)
        let level = try ReadLevel(items)
        if let response = try api.redirection(of: call.request, items, level) { return call.respond(response) }
        if try items.flag("wait") { return try wait(for: key, items, level, call) }
        for name in ["index", "timeout"] where items.has(name) {
            throw .badRequest("\(name) is for ?wait")
        }
        if try items.flag("prefix") {
            let page = try KeyPage(prefix: key, items: items, limits: api.limits)
            return list(page, level, call)
        }
        for name in ["keys", "limit", "continue"] where items.has(name) {
            throw .badRequest("\(name) is for ?prefix")
        }
        try Self.needKey(key)
        let conditions = try Conditions(call.request)
        let revision = try items.number("rev", from: 0, to: .max) ?? 0
        api.read(level, for: call) { (view) throws(ReadError) in
            try read(key, at: Revision(revision), conditions, in: view, call)
        }
    }

    private func read(
        _ key: [UInt8], at revision: Revision, _ conditions: Conditions, in view: ReadView, _ call: APICall
    ) throws(ReadError) -> PlainResponse {
        let pair = try view.pair(key, at: revision)
        let read = KeyAnswer.fields(ofRevision: view.revision.rawValue)
        switch conditions.verdict(of: pair?.modRevision) {
        case .met: break
        case .changed: return Self.preconditionFailed(pair, read)
        case .unchanged:
            return PlainResponse(
                status: 304, contentType: "text/plain; charset=utf-8", body: "",
                fields: (pair.map { KeyAnswer.fields(of: $0) } ?? []) + read)
        }
        guard let pair else {
            var error = APIError.notFound("there is no such key")
            error.fields = read
            return error.response
        }
        var answer = KeyAnswer(pair, at: view.revision)
        answer.note = try api.keys.note(of: pair, at: revision, in: view)
        return answer.response(asJSON: call.wantsJSON)
    }

    private static func preconditionFailed(
        _ current: KeyValue?, _ fields: [(name: String, value: String)] = []
    ) -> PlainResponse {
        APIError(
            412, "precondition_failed",
            current.map { "the key is at \(Conditions.tag($0.modRevision)) (If-Match, If-None-Match)" }
                ?? "there is no such key (If-Match)",
            fields: (current.map { KeyAnswer.fields(of: $0) } ?? []) + fields
        ).response
    }

    private func list(_ page: KeyPage, _ level: ReadLevel, _ call: APICall) {
        api.read(level, for: call) { (view) throws(ReadError) in
            PlainResponse(
                status: 200, contentType: "application/json",
                body: try page.read(in: view, limits: api.limits).buffer,
                fields: KeyAnswer.fields(ofRevision: view.revision.rawValue) + [("cache-control", "no-cache")])
        }
    }

    // MARK: Waiting

    private func wait(for key: [UInt8], _ items: QueryItems, _ level: ReadLevel, _ call: APICall) throws(APIError) {
        for name in ["rev", "limit", "continue"] where items.has(name) {
            throw .badRequest("\(name) is not for ?wait: index says after which revision to wait")
        }
        let target = try self.target(key, items)
        let timeout = try items.duration("timeout", atMost: api.limits.waitMax) ?? api.limits.waitDefault
        LongPoll(api, call, target, timeout: timeout).begin(level)
    }

    private func target(_ key: [UInt8], _ items: QueryItems) throws(APIError) -> WatchTarget {
        let isPrefix = try items.flag("prefix")
        if !isPrefix { try Self.needKey(key) }
        return WatchTarget(
            key: key, isPrefix: isPrefix, keysOnly: try items.flag("keys"),
            after: try items.number("index", from: 0, to: .max - 1))
    }

    private static let streamItems = ["level", "prefix", "keys", "index", "redirect"]

    private func stream(_ request: PlainRequest, _ answer: any PlainStreamAnswer) -> any PlainStreamReceiver {
        let stream = EventStream(
            answer, open: api.openWatches(on: answer.eventLoop), api.watches.watches(on: answer.eventLoop),
            limits: api.limits)
        do throws(APIError) {
            let key = try PercentCoding.pathBytes(request.path, behind: Self.prefix)
            let items = try QueryItems(request.query.utf8, known: Self.streamItems)
            let level = try ReadLevel(items)
            if let response = try api.redirection(of: request, items, level) {
                stream.refuse(response)
                return stream
            }
            var target = try self.target(key, items)
            target.after = try request.lastEventID() ?? target.after
            KeyEvents(api, target, to: stream).begin(level)
        } catch {
            stream.refuse(error)
        }
        return stream
    }

    // MARK: Writing

    private func put(_ key: [UInt8], _ call: APICall) throws(APIError) {
        let items = try QueryItems(call.request.query.utf8, known: ["ttl", "lease", "redirect"])
        try Self.forWriting(key)
        var put = KeyPut(key: key, value: Array(call.request.body.readableBytesView))
        put.ttl = try items.ttl()
        if let lease = try items.leaseID("lease") {
            guard put.ttl == nil else { throw .badRequest("ttl grants a lease, lease names one: not both") }
            put.lease = lease
        }
        put.contentType = try KeyNote.keptType(of: call.request)
        put.conditions = try Conditions(call.request)
        if let response = try api.redirection(of: call.request, items) { return call.respond(response) }
        let lease = put.lease
        api.keys.put(put, on: call.eventLoop) { result in
            switch result {
            case .failure(let error): call.fail(error)
            case .success(.refused(let current)): call.respond(Self.preconditionFailed(current))
            case .success(.done(let revision, let previous, let granted)):
                call.respond(
                    Self.written(key, revision, previous, granted == .none ? lease : granted, asJSON: call.wantsJSON))
            }
        }
    }

    private static func written(
        _ key: [UInt8], _ revision: Revision, _ previous: KeyValue?, _ lease: LeaseID, asJSON: Bool
    ) -> PlainResponse {
        let create = previous?.createRevision ?? revision
        let version = (previous?.version ?? 0) + 1
        let fields =
            KeyAnswer.fields(create: create, mod: revision, version: version, lease: lease)
            + KeyAnswer.fields(ofRevision: revision.rawValue)
        guard asJSON else {
            return PlainResponse(status: 200, contentType: "text/plain; charset=utf-8", body: "", fields: fields)
        }
        var json = JSONBuffer()
        json.raw("{")
        json.bytes("key", key)
        json.numbers(create: create.rawValue, mod: revision.rawValue, version: version, lease: lease.rawValue)
        json.raw(",\"created\":\(previous == nil)}\n")
        return PlainResponse(status: 200, contentType: "application/json", body: json.buffer, fields: fields)
    }

    private func delete(_ key: [UInt8], _ call: APICall) throws(APIError) {
        let items = try QueryItems(call.request.query.utf8, known: ["prefix", "redirect"])
        let conditions = try Conditions(call.request)
        if try items.flag("prefix") {
            guard !key.isEmpty else { throw .badRequest("an empty prefix would delete every key there is") }
            try Self.forWriting(key)
            guard conditions.isEmpty else { throw .badRequest("If-Match and If-None-Match are for one key") }
            if let response = try api.redirection(of: call.request, items) { return call.respond(response) }
            return api.keys.delete(prefix: key, on: call.eventLoop) { result in
                switch result {
                case .failure(let error): call.fail(error)
                case .success(let answer): call.respond(Self.deleted(answer.deleted, answer.revision, call.wantsJSON))
                }
            }
        }
        try Self.forWriting(key)
        if let response = try api.redirection(of: call.request, items) { return call.respond(response) }
        api.keys.delete(key, conditions, on: call.eventLoop) { result in
            switch result {
            case .failure(let error): call.fail(error)
            case .success(.refused(let current)): call.respond(Self.preconditionFailed(current))
            case .success(.done(let revision, let previous, _)):
                if previous == nil {
                    var error = APIError.notFound("there is no such key")
                    error.fields = KeyAnswer.fields(ofRevision: revision.rawValue)
                    call.fail(error)
                } else {
                    call.respond(Self.deleted(1, revision, call.wantsJSON))
                }
            }
        }
    }

    private static func deleted(_ count: Int64, _ revision: Revision, _ asJSON: Bool) -> PlainResponse {
        let fields = KeyAnswer.fields(ofRevision: revision.rawValue) + [("x-martlet-deleted", "\(count)")]
        return asJSON
            ? PlainResponse(
                status: 200, contentType: "application/json",
                body: "{\"revision\":\(revision.rawValue),\"deleted\":\(count)}\n", fields: fields)
            : PlainResponse(status: 200, contentType: "text/plain; charset=utf-8", body: "", fields: fields)
    }
}
