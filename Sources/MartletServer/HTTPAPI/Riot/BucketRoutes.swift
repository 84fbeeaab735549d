import MVCC
import NIOCore
import Raft
import Replica

/// `/riot/bucket/…`: Riot's buckets, and keys in them (R50, R51). Laid out by ``RiotBucket``, answered by
/// ``RiotReturn``.
struct BucketRoutes: Sendable {
    let api: HTTPAPI

    private static let items = ["qs", "redirect"]
    private static let all = ["GET", "POST", "DELETE"]

    func register(in router: inout PlainRouter) {
        let body = PlainRouter.BodyRule(
            bytesMax: api.context.limits.requestBytesMax,
            tooLarge: RiotReturn.failed(.tooLarge(api.context.limits.requestBytesMax)),
            tooMany: RiotReturn.failed(.tooManyRequests))
        router.on(
            ["POST"], BucketPath.root, otherMethod: RiotReturn.otherMethod(["POST"]), body: body
        ) { request, eventLoop, respond in
            answer(APICall(request: request, eventLoop: eventLoop, respond: respond)) { _ throws(APIError) in .all }
        }
        router.on(
            Self.all, below: BucketPath.below, otherMethod: RiotReturn.otherMethod(Self.all), body: body
        ) { request, eventLoop, respond in
            answer(APICall(request: request, eventLoop: eventLoop, respond: respond)) { path throws(APIError) in
                try BucketPath(path, limits: api.limits)
            }
        }
    }

    private func answer(_ call: APICall, _ parse: (String) throws(APIError) -> BucketPath) {
        do throws(APIError) {
            let path = try parse(call.request.path)
            guard path.methods.contains(call.request.method) else {
                return call.respond(RiotReturn.otherMethod(path.methods))
            }
            let items = try QueryItems(call.request.query.utf8, wanted: Self.items)
            // Only reads look at it, but it is wrong everywhere.
            let level = try ReadLevel(riot: items)
            let readLevel = call.request.method == "GET" ? level : .default
            if let response = try api.redirection(of: call.request, items, readLevel) { return call.respond(response) }
            switch (path, call.request.method) {
            case (.all, _): try create(call)
            case (.bucket(let bucket), "DELETE"): delete(bucket, call)
            case (.bucket(let bucket), _): describe(bucket, level, call)
            case (.key(let key, let bucket), "POST"): try set(key, in: bucket, call)
            case (.key(let key, let bucket), "DELETE"): remove(key, from: bucket, call)
            case (.key(let key, let bucket), _): get(key, in: bucket, level, call)
            }
        } catch {
            call.respond(RiotReturn.failed(error))
        }
    }

    // MARK: Buckets

    private func create(_ call: APICall) throws(APIError) {
        let bucket = try RiotBucket(Array(call.request.body.readableBytesView), limits: api.limits)
        // One that is there already is as good as a new one.
        commit(bucket.creation, call) { _ in nil }
    }

    /// One that is not there is deleted already.
    private func delete(_ bucket: RiotBucket, _ call: APICall) {
        let keysMax = api.limits.deletedBucketKeysMax
        count(bucket, .default, keysMax: keysMax, call) { count, view in
            guard let count else {
                return call.respond(RiotReturn.done(fields: KeyAnswer.fields(ofRevision: view.revision.rawValue)))
            }
            guard count.keys <= keysMax else {
                let prefix = String(decoding: bucket.keys.key, as: UTF8.self)
                return call.respond(
                    RiotReturn.failed(
                        .invalidRequest,
                        "the bucket has more than \(keysMax) keys, too many for one step: delete some of them first, "
                            + "here or with etcdctl (del --prefix \(prefix)a)"))
            }
            commit(bucket.deletion, call) { _ in nil }
        }
    }

    /// In the names of Riot's engine, as far as they mean anything here: there are no pages.
    private func describe(_ bucket: RiotBucket, _ level: ReadLevel, _ call: APICall) {
        count(bucket, level, call) { count, view in
            guard let count else { return call.respond(RiotReturn.failed(Self.noBucket)) }
            call.respond(
                RiotReturn.done(fields: KeyAnswer.fields(ofRevision: view.revision.rawValue)) { json in
                    json.raw("{\"BucketN\":1,\"KeyN\":\(count.keys),\"LeafInuse\":\(count.bytes)}")
                })
        }
    }

    /// - Parameter done: with nil if there is no such bucket. Not called if the client has been told an error.
    private func count(
        _ bucket: RiotBucket, _ level: ReadLevel, keysMax: Int64 = .max, _ call: APICall,
        _ done: @escaping @Sendable (BucketCount?, ReadView) -> Void
    ) {
        api.keys.view(level, on: call.eventLoop) { result in
            switch result {
            case .failure(let error): call.respond(RiotReturn.failed(error))
            case .success(let view):
                do throws(ReadError) {
                    guard try bucket.isThere(in: view.store) else { return done(nil, view.store) }
                } catch {
                    return call.respond(RiotReturn.failed(api.context.apiError(of: error)))
                }
                let count = BucketCount(
                    of: bucket, in: view.store, keysMax: keysMax, pieceMax: api.limits.countedAtOnceMax)
                goOn(count, call) { done($0, view.store) }
            }
        }
    }

    private func goOn(_ count: BucketCount, _ call: APICall, _ done: @escaping @Sendable (BucketCount) -> Void) {
        var count = count
        do throws(ReadError) {
            try count.step()
        } catch {
            return call.respond(RiotReturn.failed(api.context.apiError(of: error)))
        }
        if count.isDone { return done(count) }
        // Nobody waits for it any more.
        guard !call.request.cancellation.isCancelled else {
            return call.respond(RiotReturn.failed(.tooManyRequests))
        }
        call.eventLoop.execute { [count] in goOn(count, call, done) }
    }

    // MARK: Keys

    private static let noBucket = APIError.notFound("there is no such bucket; POST /riot/bucket makes one")

    private func get(_ key: [UInt8], in bucket: RiotBucket, _ level: ReadLevel, _ call: APICall) {
        api.keys.view(level, on: call.eventLoop) { result in
            switch result {
            case .failure(let error): call.respond(RiotReturn.failed(error))
            case .success(let view):
                do throws(ReadError) {
                    guard try bucket.isThere(in: view.store) else {
                        return call.respond(RiotReturn.failed(Self.noBucket))
                    }
                    guard let pair = try view.store.pair(bucket.key(key)) else {
                        return call.respond(RiotReturn.failed(.notFound("there is no such key in the bucket")))
                    }
                    let fields =
                        KeyAnswer.fields(of: pair) + KeyAnswer.fields(ofRevision: view.store.revision.rawValue)
                    call.respond(RiotReturn.done(fields: fields) { $0.riotValue(pair.value) })
                } catch {
                    call.respond(RiotReturn.failed(api.context.apiError(of: error)))
                }
            }
        }
    }

    /// Riot says yes where there is no such bucket, and keeps nothing.
    private func set(_ key: [UInt8], in bucket: RiotBucket, _ call: APICall) throws(APIError) {
        let value = Array(call.request.body.readableBytesView)
        let bytesMax = api.context.limits.requestBytesMax
        guard KeyOperations.requestBytes(key: bucket.key(key).count, value: value.count) <= bytesMax else {
            throw .tooLarge(bytesMax)
        }
        commit(bucket.setting(key, to: value), call) { $0 ? nil : Self.noBucket }
    }

    private func remove(_ key: [UInt8], from bucket: RiotBucket, _ call: APICall) {
        commit(bucket.removal(of: key), call) { _ in nil }
    }

    /// - Parameter judge: what is wrong, by whether the transaction succeeded.
    private func commit(
        _ transaction: Transaction, _ call: APICall, _ judge: @escaping (_ succeeded: Bool) -> APIError?
    ) {
        api.keys.commit(on: call.eventLoop, ttl: nil, { _ in transaction }) { result in
            switch result {
            case .failure(let error): call.respond(RiotReturn.failed(error))
            case .success(let committed):
                if let error = judge(committed.succeeded) { return call.respond(RiotReturn.failed(error)) }
                call.respond(RiotReturn.done(fields: KeyAnswer.fields(ofRevision: committed.revision.rawValue)))
            }
        }
    }
}

extension ReadLevel {
    /// Riot's `qs`: 0 is any member's own state, 1 the cluster's.
    init(riot items: QueryItems) throws(APIError) {
        switch try items.text("qs") {
        case "0": self = .stale
        case "1", nil: self = .default
        case .some: throw .badRequest("qs is 0, for what this member has, or 1, for all that was acknowledged")
        }
    }
}
