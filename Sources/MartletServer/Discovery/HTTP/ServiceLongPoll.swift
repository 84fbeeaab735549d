import HTTP2
import MVCC
import NIOCore
import Replica

/// A list that is answered when it has changed, or when the time is up: with the whole list either way, so that who
/// asks need not know what happened. On its event loop.
final class ServiceLongPoll: OpenWait {
    private let routes: ServiceRoutes
    private let query: ListQuery
    private let call: APICall
    private let open: OpenWatches
    private let watches: LoopWatches
    private var signals: [ChangeSignal] = []
    private var timer: Scheduled<Void>?
    private var isOver = false

    init(
        _ routes: ServiceRoutes, _ query: ListQuery, _ call: APICall, _ open: OpenWatches, _ watches: LoopWatches
    ) {
        self.routes = routes
        self.query = query
        self.call = call
        self.open = open
        self.watches = watches
    }

    var needsLeader: Bool { false }

    func begin(for time: TimeAmount) {
        watches.add(self)
        call.request.cancellation.onCancel { [self] in letGo() }
        if let index = query.index { return wait(after: index, for: time) }
        routes.context.requests(on: call.eventLoop).read { [self] result in
            guard !isOver else { return }
            switch result {
            case .failure(let failure):
                letGo()
                call.fail(.ofService(failure))
            case .success(let view): wait(after: view.store.revision, for: time)
            }
        }
    }

    private func wait(after revision: Revision, for time: TimeAmount) {
        let held = NIOLoopBound(self, eventLoop: call.eventLoop)
        timer = call.eventLoop.scheduleTask(in: time) { held.value.finish() }
        signals = query.ranges.map { range in
            // What has been compacted may have changed: the list as it is now is an answer in any case.
            ChangeSignal(range, after: revision, watches) { [self] _ in finish() }
        }
    }

    private func finish() {
        guard !isOver else { return }
        letGo()
        routes.answer(query, call)
    }

    func end(_ status: GRPCStatus) {
        guard !isOver else { return }
        letGo()
        call.fail(.stopped)
    }

    private func letGo() {
        guard !isOver else { return }
        isOver = true
        open.leave()
        watches.remove(self)
        for signal in signals { signal.stop() }
        signals = []
        timer?.cancel()
        timer = nil
    }
}
