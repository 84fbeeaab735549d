import MVCC
import NIOCore
import Replica

/// Tells that something in a range of keys has changed, and not what: whoever is told looks at the state. On its event
/// loop.
final class ChangeSignal: WatchOutlet {
    private let watches: LoopWatches
    private var stream: WatchStream?
    private var handler: (() -> Void)?
    private var isTold = false

    /// - Parameter handler: called on the event loop, once for all that happened meanwhile, never from within another
    ///   call of this object. Called as well where it cannot be known what happened.
    init(_ range: KeyRange, after revision: Revision, _ watches: LoopWatches, _ handler: @escaping () -> Void) {
        self.watches = watches
        self.handler = handler
        let stream = watches.loop.open(self)
        self.stream = stream
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

    private func tell() {
        guard !isTold else { return }
        isTold = true
        watches.eventLoop.assumeIsolated().execute { [self] in
            isTold = false
            handler?()
        }
    }

    // MARK: From the watch loop

    var pendingBytes: Int { 0 }
    func whenPendingBytes(atMost bytes: Int, _ body: @escaping () -> Void) { body() }

    func send(_ notice: WatchNotice, at revision: Revision) {
        switch notice {
        case .created, .progress, .progressOfAll: break
        case .refused, .cancelled, .compacted: tell()
        }
    }

    func send(_ events: WatchEventBytes, to id: Int64, at revision: Revision, isFragment: Bool) { tell() }
}
