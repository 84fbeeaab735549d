package import NIOCore
internal import NIOPosix

/// Flushes connections of one event loop: each connection that has something to send is flushed once, at the end of a
/// batch, or, outside of any batch, at the end of the event loop's current round of tasks. No timer is involved: one
/// would show in every latency.
package final class FlushCoordinator: @unchecked Sendable {  // used on its event loop only
    package let eventLoop: any EventLoop
    let deadlines: DeadlineWheel
    private var dirty: [HTTP2Connection] = []
    private var flushing: [HTTP2Connection] = []
    private var batchDepth = 0
    private var isScheduled = false

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        deadlines = DeadlineWheel(eventLoop: eventLoop)
    }

    private static let current = ThreadSpecificVariable<FlushCoordinator>()

    /// The one of an event loop; must be called on it.
    package static func on(_ eventLoop: any EventLoop) -> FlushCoordinator {
        eventLoop.preconditionInEventLoop()
        if let existing = current.currentValue, existing.eventLoop === eventLoop { return existing }
        let new = FlushCoordinator(eventLoop: eventLoop)
        current.currentValue = new
        return new
    }

    /// Replies to many calls follow; their connections are flushed by ``endBatch()``.
    package func beginBatch() { batchDepth += 1 }

    package func endBatch() {
        precondition(batchDepth > 0, "a batch was ended that had not been begun")
        batchDepth -= 1
        if batchDepth == 0 { flushAll() }
    }

    func markDirty(_ connection: HTTP2Connection) {
        dirty.append(connection)
        guard batchDepth == 0, !isScheduled else { return }
        isScheduled = true
        eventLoop.execute {
            self.isScheduled = false
            if self.batchDepth == 0 { self.flushAll() }
        }
    }

    private func flushAll() {
        // A flush may tell a service that its stream has drained, and it may reply to anyone: those come next time
        // round.
        while !dirty.isEmpty, flushing.isEmpty {
            swap(&dirty, &flushing)
            for connection in flushing { connection.flushIfDirty() }
            flushing.removeAll(keepingCapacity: true)
        }
    }
}
