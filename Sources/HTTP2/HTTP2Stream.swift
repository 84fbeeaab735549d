package import NIOCore

/// How the bytes of a stream go on.
enum StreamEnd {
    case notYet
    case now
    case trailers(HTTP2HeaderBlock)
}

/// One stream: what waits to be sent on it, its place in its connection, and the events that a subclass turns into a
/// call.
///
/// A stream is used on its connection's event loop only. When it has ended and nobody but its connection holds it, it
/// is used for another one; who holds it longer (strongly: a weak reference would not be noticed) has an object on
/// which nothing happens any more.
package class HTTP2Stream: @unchecked Sendable {  // see above
    @exclusivity(unchecked) final var connection: HTTP2Connection?
    @exclusivity(unchecked) final package internal(set) var id: Int32 = 0
    /// Our place among the connection's open streams.
    @exclusivity(unchecked) final var index = -1
    @exclusivity(unchecked) final var outbound = OutboundQueue()
    @exclusivity(unchecked) final var end = StreamEnd.notYet
    /// The codec has asked for bytes when there were none; it wants to be told of the next.
    @exclusivity(unchecked) final var isStarved = false
    /// The peer has said its last word.
    @exclusivity(unchecked) final var peerHasEnded = false

    // The deadline wheel's.
    @exclusivity(unchecked) final var deadline = NIODeadline.distantFuture
    @exclusivity(unchecked) final var deadlineSlot = -1
    @exclusivity(unchecked) final var deadlineNext: Unmanaged<HTTP2Stream>?
    @exclusivity(unchecked) final var deadlinePrevious: Unmanaged<HTTP2Stream>?

    @exclusivity(unchecked) private final var drainedMark = -1
    @exclusivity(unchecked) private final var drained: (() -> Void)?
    /// Bytes that have arrived while reading was paused, for which the peer has not been given room again.
    @exclusivity(unchecked) private final var heldBack = 0
    @exclusivity(unchecked) private final var isPaused = false

    package final let eventLoop: any EventLoop

    init(connection: HTTP2Connection) {
        self.connection = connection
        eventLoop = connection.eventLoop
    }

    /// Whether the stream is one of its connection's; when it is not, nothing can be sent.
    final package var isOpen: Bool { index >= 0 }

    /// Bytes queued on this stream that have not been given to the socket: a reader that is slow, or a window that is
    /// shut.
    final package var pendingBytes: Int { outbound.count }

    /// Calls back once, as soon as no more than `bytes` wait on this stream. It may be at once. Not called when the
    /// stream ends first.
    final package func whenPendingBytes(atMost bytes: Int, _ body: @escaping () -> Void) {
        eventLoop.assertInEventLoop()
        guard isOpen else { return }
        if outbound.count <= bytes {
            body()
        } else {
            drainedMark = bytes
            drained = body
        }
    }

    /// Holds the peer back: what it may still send is the rest of the stream's window.
    final package func pauseReading() { isPaused = true }

    final package func resumeReading() {
        eventLoop.assertInEventLoop()
        isPaused = false
        guard heldBack > 0, let connection, isOpen else { return }
        connection.codec?.consume(heldBack, stream: id)
        heldBack = 0
        connection.needsFlush()
    }

    // MARK: Events, for subclasses

    /// The object begins to stand for a stream, for the first time or again.
    func opened() {}
    func receivedField(_ name: HTTP2Bytes, _ value: HTTP2Bytes, isTrailer: Bool) {}
    func receivedFields(isTrailer: Bool, isLast: Bool) {}
    func receivedBytes(_ bytes: UnsafeRawBufferPointer) {}
    func receivedEnd() {}
    func deadlineReached() {}
    /// The stream has ended, by both sides or by an error. `isOpen` is false already.
    func closed(_ code: HTTP2ErrorCode) {}
    /// Whether work had been begun for this stream: a reset then costs its peer more.
    var hasCausedWork: Bool { false }
    /// Lets go of everything that is held for a stream which has ended.
    func letGo() {}

    // MARK: For the codec

    @inline(__always)
    final func offerBytes(atMost length: Int) -> (Int, StreamEnd) {
        let count = min(length, outbound.count)
        if count == outbound.count {
            if case .notYet = end {
                isStarved = count == 0
                return (count, .notYet)
            }
            return (count, end)
        }
        return (count, .notYet)
    }

    // MARK: For subclasses

    /// Bytes that have been taken from the peer: gives it room for as many again, now or when reading goes on.
    @inline(__always)
    final func consume(_ count: Int) {
        if isPaused {
            heldBack += count
        } else {
            connection?.codec?.consume(count, stream: id)
        }
    }

    /// Bytes or the end have been put into the queue.
    @inline(__always)
    final func queueChanged() {
        guard let connection else { return }
        if isStarved {
            isStarved = false
            connection.codec?.resume(id)
        }
        connection.needsFlush()
    }

    final func setDeadline(_ time: NIODeadline) {
        guard let wheel = connection?.coordinator?.deadlines else { return }
        wheel.remove(self)
        wheel.insert(self, at: time)
    }

    @inline(__always)
    final func clearDeadline() {
        if deadlineSlot >= 0 { connection?.coordinator?.deadlines.remove(self) }
    }

    // MARK: For the connection

    /// The callback to run, if the queue has fallen to its mark.
    @inline(__always)
    final func takeDrained() -> (() -> Void)? {
        guard drainedMark >= 0, outbound.count <= drainedMark else { return nil }
        drainedMark = -1
        defer { drained = nil }
        return drained
    }

    /// What is left behind when a stream has ended.
    final func forget() {
        clearDeadline()
        outbound.removeAll(keepingAtMost: connection?.limits.keptBufferBytesMax ?? 0)
        end = .notYet
        isStarved = false
        peerHasEnded = false
        drainedMark = -1
        if drained != nil { drained = nil }
        heldBack = 0
        isPaused = false
    }
}
