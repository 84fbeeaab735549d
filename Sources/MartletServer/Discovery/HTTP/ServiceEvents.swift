import MVCC
import NIOCore
import Raft
import Replica

/// Tells a stream a list, and the whole of it again whenever it has changed. On the stream's event loop, and alive for
/// as long as that is open.
///
/// A client that does not read is owed one list, the newest: nothing waits for it but what its socket has been given.
final class ServiceEvents {
    private let routes: ServiceRoutes
    private let query: ListQuery
    private let stream: EventStream
    private var signals: [ChangeSignal] = []
    /// Until then changes are gathered.
    private var pause: Scheduled<Void>?
    private let shared: SharedLists
    /// Up to where there was a change that has not been told; nil: there is none.
    private var changed: Revision?
    /// ``SharedLists/Told/mark`` of the list that was told last.
    private var told: Int?

    init(_ routes: ServiceRoutes, _ query: ListQuery, to stream: EventStream) {
        self.routes = routes
        self.query = query
        self.stream = stream
        shared = routes.sharedLists(on: stream.eventLoop)
    }

    func begin() {
        guard stream.enter() else { return }
        let own = routes.context.node.published.view.store
        // Who names a revision that has come has the list of that time: what this member knows is told from there on.
        if let index = query.index, index <= own.revision { return follow(in: own) }
        routes.context.requests(on: stream.eventLoop).read { [self] result in
            guard !stream.isOver else { return }
            switch result {
            case .failure(let failure): stream.refuse(.ofService(failure))
            case .success(let view): follow(in: view.store)
            }
        }
    }

    private func follow(in store: ReadView) {
        do throws(ReadError) {
            let directory = ServiceDirectory(store: store, limits: routes.limits)
            if let refusal = try query.refusal(in: directory) { return stream.refuse(refusal) }
            // A revision that is later than all there are is another cluster's: its list is no use.
            if let index = query.index, index <= store.revision {
                begin(at: index)
                stream.write(ServerSentEvents.place(index.rawValue))
            } else {
                let list = try shared.list(query, since: store.revision, in: directory)
                begin(at: list.revision)
                tell(list)
            }
        } catch {
            stream.refuse(routes.context.apiError(of: error))
        }
    }

    private func begin(at revision: Revision) {
        shared.enter()
        stream.begin(
            at: revision.rawValue,
            release: { [self] in
                shared.leave()
                for signal in signals { signal.stop() }
                signals = []
                pause?.cancel()
                pause = nil
            })
        signals = query.ranges.map { range in
            ChangeSignal(range, after: revision, stream.watches) { [self] in onChange($0) }
        }
    }

    // MARK: Changes

    private func onChange(_ revision: Revision) {
        changed = max(changed ?? revision, revision)
        guard pause == nil else { return }
        stream.whenPendingBytes(atMost: 0) { [self] in tellNewest() }
    }

    private func tellNewest() {
        guard let changed, !stream.isOver else { return }
        self.changed = nil
        do throws(ReadError) {
            let store = routes.context.node.published.view.store
            tell(
                try shared.list(
                    query, since: changed, in: ServiceDirectory(store: store, limits: routes.limits)))
        } catch {
            // This member stops.
            _ = routes.context.apiError(of: error)
            return stream.finish()
        }
        let held = NIOLoopBound(self, eventLoop: stream.eventLoop)
        pause = stream.eventLoop.scheduleTask(in: routes.limits.streamInterval) {
            held.value.pause = nil
            if let changed = held.value.changed { held.value.onChange(changed) }
        }
    }

    private func tell(_ list: SharedLists.Told) {
        // Another tag's instance, or what a list of names does not show.
        guard list.mark != told else { return }
        told = list.mark
        stream.write(list.event)
    }
}
