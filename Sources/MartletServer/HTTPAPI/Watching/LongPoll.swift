import EtcdAPI
import HTTP2
import MVCC
import NIOCore
import Raft
import Replica

/// `?wait`: one request that is answered when something happens, or when its time is up.
final class LongPoll: OpenWait, EventReader {
    private let api: HTTPAPI
    private let call: APICall
    private let target: WatchTarget
    private let timeout: TimeAmount
    private let open: OpenWatches
    private let watches: LoopWatches
    private var feed: KeyEventFeed?
    private var timer: Scheduled<Void>?
    /// Nothing has happened up to here.
    private var seen: Int64 = 0
    private var isOver = false

    init(_ api: HTTPAPI, _ call: APICall, _ target: WatchTarget, timeout: TimeAmount) {
        self.api = api
        self.call = call
        self.target = target
        self.timeout = timeout
        open = api.openWatches(on: call.eventLoop)
        watches = api.watches.watches(on: call.eventLoop)
    }

    var needsLeader: Bool { false }

    func begin(_ level: ReadLevel) {
        guard open.enter() else { return call.fail(.tooManyRequests) }
        watches.add(self)
        call.request.cancellation.onCancel { [self] in letGo() }
        // Who names a revision has asked somebody before: what this member knows is told from there on.
        api.keys.view(target.after == nil ? level : .stale, on: call.eventLoop) { [self] result in
            guard !isOver else { return }
            switch result {
            case .failure(let error): finish(error.response)
            case .success(let view): wait(in: view.store)
            }
        }
    }

    private func wait(in view: ReadView) {
        let after = target.after ?? view.revision.rawValue
        guard after + 1 >= view.compactRevision.rawValue else {
            return finish(WatchTarget.compacted(view.compactRevision).response)
        }
        seen = after
        let held = NIOLoopBound(self, eventLoop: call.eventLoop)
        timer = call.eventLoop.scheduleTask(in: timeout) { held.value.timeIsUp() }
        feed = KeyEventFeed(
            target.request(after: after), hidesReserved: target.hidesReserved, for: self, watches
        ) { [self] happening in
            switch happening {
            case .events(let events): answer(events)
            case .progress: break
            case .compacted(let revision): finish(WatchTarget.compacted(revision).response)
            case .refused: finish(APIError.tooManyRequests.response)
            }
        }
    }

    /// Those of the first revision: who asks again asks from there.
    private func answer(_ events: [WireEvent<[UInt8]>]) {
        guard let revision = events.first?.kv?.modRevision else { return }
        let first = events.filter { $0.kv?.modRevision == revision }
        let fields = KeyAnswer.fields(ofRevision: revision)
        if target.isPrefix || call.wantsJSON {
            var json = JSONBuffer(capacity: 1024)
            json.raw("{\"revision\":\(revision),\"events\":[")
            for (place, event) in first.enumerated() {
                if place > 0 { json.raw(",") }
                json.event(event, withValue: !target.keysOnly)
            }
            json.raw("]}\n")
            return finish(
                PlainResponse(status: 200, contentType: "application/json", body: json.buffer, fields: fields))
        }
        guard let last = first.last, let wire = last.kv else { return }
        if last.isDelete {
            var error = APIError.notFound("the key was deleted")
            error.fields = fields + [("x-martlet-event", "delete")]
            return finish(error.response)
        }
        let pair = KeyValue(
            key: wire.key, createRevision: Revision(wire.createRevision), modRevision: Revision(wire.modRevision),
            version: wire.version, value: wire.value, lease: LeaseID(wire.lease))
        var answer = KeyAnswer(pair, at: Revision(revision))
        do throws(ReadError) {
            let view = api.context.node.published.view.store
            answer.note = try api.keys.note(of: pair, at: pair.modRevision, in: view)
        } catch {
            // What has been compacted meanwhile has no type any more; the value is here.
            if case .state = error { return finish(api.context.apiError(of: error).response) }
        }
        var response = answer.response(asJSON: false)
        response.fields.append(("x-martlet-event", "put"))
        finish(response)
    }

    /// Nothing happened: to be asked again with the same revision.
    private func timeIsUp() {
        finish(
            PlainResponse(
                status: 204, contentType: "text/plain; charset=utf-8", body: "",
                fields: KeyAnswer.fields(ofRevision: seen) + [("x-martlet-event", "none")]))
    }

    func end(_ status: GRPCStatus) { finish(APIError.stopped.response) }

    private func finish(_ response: PlainResponse) {
        guard !isOver else { return }
        letGo()
        call.respond(response)
    }

    private func letGo() {
        guard !isOver else { return }
        isOver = true
        open.leave()
        watches.remove(self)
        feed?.stop()
        feed = nil
        timer?.cancel()
        timer = nil
    }

    // MARK: The reader

    /// It takes one batch of events, whatever that is.
    var pendingBytes: Int { 0 }
    func whenPendingBytes(atMost bytes: Int, _ body: @escaping () -> Void) { body() }
}
