import EtcdAPI
import HTTP2
import MVCC
import NIOCore
import Replica

/// A watch that a service of this member keeps for one of its calls, on the call's event loop. The lock and election
/// services of etcd are clients of their own server; this is the watch of ours.
final class KeyWatch: WatchOutlet {
    enum Happening {
        /// Events in their order, and up to which revision there are no others.
        case events([WireEvent<[UInt8]>], through: Revision)
        /// History was compacted faster than it was read: look at the state again.
        case gone
    }

    private let call: GRPCCall
    private let watches: LoopWatches
    private var stream: WatchStream?
    private var handler: ((Happening) -> Void)?

    /// - Parameter handler: called on the event loop, never from within another call of this object.
    init(
        _ request: WatchRequest, for call: GRPCCall, _ watches: LoopWatches, _ handler: @escaping (Happening) -> Void
    ) {
        self.call = call
        self.watches = watches
        self.handler = handler
        let stream = watches.loop.open(self)
        self.stream = stream
        watches.loop.create(request, on: stream)
    }

    /// Nothing is heard after this. To be called once the watch is not needed any more: it keeps itself alive.
    func stop() {
        guard let stream else { return }
        self.stream = nil
        handler = nil
        watches.loop.close(stream)
    }

    /// In a task of its own: the watch loop is in the middle of a turn.
    private func tell(_ happening: Happening) {
        call.eventLoop.assumeIsolated().execute { [self] in handler?(happening) }
    }

    // MARK: From the watch loop

    var pendingBytes: Int { call.pendingBytes }

    func whenPendingBytes(atMost bytes: Int, _ body: @escaping () -> Void) {
        call.whenPendingBytes(atMost: bytes, body)
    }

    func send(_ notice: WatchNotice, at revision: Revision) {
        switch notice {
        case .created, .progress, .progressOfAll: break
        case .refused, .cancelled, .compacted: tell(.gone)
        }
    }

    func send(_ events: WatchEventBytes, to id: Int64, at revision: Revision, isFragment: Bool) {
        tell(.events(events.decoded, through: revision))
    }
}
