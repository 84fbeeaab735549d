import EtcdAPI
import MVCC
import NIOCore
import Replica

/// Tells a stream a key's or a prefix's events as they happen. On the stream's event loop, and alive for as long as
/// that is open.
final class KeyEvents {
    private let api: HTTPAPI
    private let target: WatchTarget
    private let stream: EventStream
    private var feed: KeyEventFeed?
    /// The last id that was told.
    private var told: Int64 = 0

    init(_ api: HTTPAPI, _ target: WatchTarget, to stream: EventStream) {
        self.api = api
        self.target = target
        self.stream = stream
    }

    func begin(_ level: ReadLevel) {
        guard stream.enter() else { return }
        api.keys.view(target.after == nil ? level : .stale, on: stream.eventLoop) { [self] result in
            guard !stream.isOver else { return }
            switch result {
            case .failure(let error): stream.refuse(error)
            case .success(let view): follow(in: view.store)
            }
        }
    }

    private func follow(in view: ReadView) {
        let after = target.after ?? view.revision.rawValue
        guard after + 1 >= view.compactRevision.rawValue else {
            return stream.refuse(WatchTarget.compacted(view.compactRevision))
        }
        stream.begin(
            at: after, beat: { [self] in feed?.requestProgress() },
            release: { [self] in
                feed?.stop()
                feed = nil
            })
        tell(place: after)
        feed = KeyEventFeed(
            target.request(after: after), hidesReserved: target.hidesReserved, for: stream, stream.watches
        ) { [self] happening in
            switch happening {
            case .events(let events):
                told = events.last?.kv?.modRevision ?? told
                stream.write(ServerSentEvents.text(of: events, withValue: !target.keysOnly))
            case .progress(let revision): if revision.rawValue > told { tell(place: revision.rawValue) }
            case .compacted(let revision):
                stream.write(ServerSentEvents.compacted(revision))
                stream.finish()
            case .refused: stream.finish()
            }
        }
    }

    private func tell(place: Int64) {
        told = place
        stream.write(ServerSentEvents.place(place))
    }
}
