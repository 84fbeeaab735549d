import MVCC
import NIOCore
import Replica

/// `/riot?key=…` and `/riot/key/…`: Riot's keys, which are the same as those of `/key/…`. Keys in buckets are
/// ``BucketRoutes``.
struct RiotRoutes: Sendable {
    let api: HTTPAPI

    private static let path = "/riot"
    private static let keyPrefix = "/riot/key/"
    private static let items = ["key", "qs", "redirect"]

    func register(in router: inout PlainRouter) {
        let methods = ["GET", "POST", "DELETE"]
        let otherMethod = RiotAnswer.invalidRequest.response(
            fields: [("allow", methods.joined(separator: ", "))])
        let body = PlainRouter.BodyRule(
            bytesMax: api.context.limits.requestBytesMax,
            tooLarge: RiotAnswer.operationError.response(status: 413),
            tooMany: RiotAnswer.network.response(status: 429))
        router.on(methods, Self.path, otherMethod: otherMethod, body: body) { request, eventLoop, respond in
            let call = APICall(request: request, eventLoop: eventLoop, respond: respond)
            do throws(APIError) {
                let items = try QueryItems(request.query.utf8, wanted: Self.items)
                handle(items.bytes("key") ?? [], items, call)
            } catch {
                respond(RiotAnswer.invalidRequest.response())
            }
        }
        router.on(methods, below: Self.keyPrefix, otherMethod: otherMethod, body: body) { request, eventLoop, respond in
            let call = APICall(request: request, eventLoop: eventLoop, respond: respond)
            do throws(APIError) {
                let items = try QueryItems(request.query.utf8, wanted: Self.items)
                handle(try PercentCoding.pathBytes(request.path, behind: Self.keyPrefix), items, call)
            } catch {
                respond(RiotAnswer.invalidRequest.response())
            }
        }
    }

    private static let done = PlainResponse(status: 200, contentType: "text/plain; charset=utf-8", body: "")

    private func handle(_ key: [UInt8], _ items: QueryItems, _ call: APICall) {
        guard !key.isEmpty, call.request.method == "GET" || !ReservedKeys.holds(key) else {
            return call.respond(RiotAnswer.invalidKey.response())
        }
        do throws(APIError) {
            if let response = try api.redirection(of: call.request, items) { return call.respond(response) }
            switch call.request.method {
            case "POST": try set(key, call)
            case "DELETE": remove(key, call)
            default: try get(key, items, call)
            }
        } catch {
            call.respond(error.status == 400 ? RiotAnswer.invalidRequest.response() : RiotAnswer.response(error))
        }
    }

    private func set(_ key: [UInt8], _ call: APICall) throws(APIError) {
        guard call.request.body.readableBytes > 0 else { return call.respond(RiotAnswer.invalidRequest.response()) }
        var put = KeyPut(key: key, value: Array(call.request.body.readableBytesView))
        put.contentType = try KeyNote.keptType(of: call.request)
        api.keys.put(put, on: call.eventLoop) { answer($0, call) }
    }

    /// What is not there is removed already.
    private func remove(_ key: [UInt8], _ call: APICall) {
        api.keys.delete(key, on: call.eventLoop) { answer($0, call) }
    }

    private func answer(_ result: Swift.Result<KeyWritten, APIError>, _ call: APICall) {
        switch result {
        case .success: call.respond(Self.done)
        case .failure(let error): call.respond(RiotAnswer.response(error))
        }
    }

    private func get(_ key: [UInt8], _ items: QueryItems, _ call: APICall) throws(APIError) {
        let level = try ReadLevel(riot: items)
        api.keys.view(level, on: call.eventLoop) { result in
            switch result {
            case .failure(let error): call.respond(RiotAnswer.response(error))
            case .success(let view):
                do throws(ReadError) {
                    guard let pair = try view.store.pair(key) else {
                        return call.respond(RiotAnswer.notFound.response())
                    }
                    var answer = KeyAnswer(pair, at: view.store.revision)
                    answer.note = try api.keys.note(of: pair, at: .latest, in: view.store)
                    call.respond(answer.response(asJSON: false))
                } catch {
                    call.respond(RiotAnswer.response(api.context.apiError(of: error)))
                }
            }
        }
    }
}
