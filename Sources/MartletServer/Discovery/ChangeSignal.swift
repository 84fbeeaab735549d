import MVCC
import NIOCore
import Raft
import Replica

/// Tells that something in a range of keys has changed, and not what: whoever is told looks at the state. On its event
/// loop.
final class ChangeSignal: WatchOutlet {
    private let watches: LoopWatches
    private var stream: WatchStream?
    private var handler: ((Revision) -> Void)?
    private let range: KeyRange
    /// Up to where there was something that is about to be told.
    private var changed: Revision?
    /// What was to be told next has been compacted, and the watch with it.
    private var isCut = false

    /// - Parameter handler: called on the event loop, once for all that happened meanwhile, never from within another
    ///   call of this object, with a revision: all that happened up to there is behind it. Called as well where it
    ///   cannot be known what happened: that has been compacted.
    init(
        _ range: KeyRange, after revision: Revision, _ watches: LoopWatches,
        _ handler: @escaping (Revision) -> Void
    ) {
        self.range = range
        self.watches = watches
        self.handler = handler
        stream = watches.loop.open(self)
        listen(after: revision)
    }

    private func listen(after revision: Revision) {
        guard let stream else { return }
        var request = WatchRequest(range)
        request.start = Revision(revision.rawValue + 1)
        watches.loop.create(request, on: stream)
    }

    /// Nothing is heard after this. To be called once the signal is not needed any more: it keeps itself alive.
    func stop() {
        guard let stream else { return }
        self.stream = nil
        handler = nil
        watches.loop.close(stream)
    }

    private func tell(_ revision: Revision) {
        let isAlone = changed == nil
        changed = max(changed ?? revision, revision)
        guard isAlone else { return }
        watches.eventLoop.assumeIsolated().execute { [self] in
            guard let changed else { return }
            self.changed = nil
            // What comes after it is the next that counts.
            if isCut { listen(after: changed) }
            isCut = false
            handler?(changed)
        }
    }

    private var newest: Revision { watches.context.node.published.view.store.revision }

    // MARK: From the watch loop

    var pendingBytes: Int { 0 }
    func whenPendingBytes(atMost bytes: Int, _ body: @escaping () -> Void) { body() }

    func send(_ notice: WatchNotice, at revision: Revision) {
        switch notice {
        case .created, .progress, .progressOfAll: break
        case .refused, .cancelled: tell(newest)
        case .compacted:
            isCut = true
            tell(newest)
        }
    }

    func send(_ events: WatchEventBytes, to id: Int64, at revision: Revision, isFragment: Bool) { tell(revision) }
}
