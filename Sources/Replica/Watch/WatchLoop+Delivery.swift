import MVCC

/// From a turn's events to responses.
extension WatchLoop {
    /// Sends what the turn has found, and moves the cohort on.
    func deliver(through position: Int64, of cohort: Cohort) {
        cohort.position = position
        guard !turn.touched.isEmpty else { return }
        turn.plainBytes.withUnsafeBytes { plain in
            turn.previousBytes.withUnsafeBytes { withPrevious in
                var writer = ResponseWriter(loop: self)
                for watcher in turn.touched {
                    writer.write(
                        turn.takeEvents(of: watcher), of: watcher,
                        from: watcher.wantsPrevious ? withPrevious : plain, through: position)
                }
            }
        }
    }

    /// Whether so much waits on the stream that its watchers get nothing more for now. If so, they are told when it has
    /// been read.
    func isLagging(_ stream: WatchStream) -> Bool {
        let pending = stream.outlet.pendingBytes
        guard pending > limits.drainedBytes else { return false }
        laggingBytes += pending - stream.countedBytes
        stream.countedBytes = pending
        if !stream.awaitsDrain {
            stream.awaitsDrain = true
            stream.outlet.whenPendingBytes(atMost: limits.drainedBytes) { [weak self, weak stream] in
                if let self, let stream { self.drained(stream) }
            }
        }
        let allowed =
            laggingBytes > limits.loopPendingBytesMax ? limits.drainedBytes : limits.streamPendingBytesMax
        return pending > allowed
    }

    func uncount(_ stream: WatchStream) {
        laggingBytes -= stream.countedBytes
        stream.countedBytes = 0
    }
}

/// Makes one watcher's responses of its events of one turn, for one watcher after the other.
private struct ResponseWriter {
    private let loop: WatchLoop
    private let limits: WatchLimits
    private let events: ContiguousArray<WatchTurn.Event>
    private let turnNumber: UInt64
    // The response that is being made.
    private var pieces: [Range<Int>] = []
    private var byteCount = 0
    private var eventCount = 0

    init(loop: WatchLoop) {
        self.loop = loop
        limits = loop.limits
        events = loop.turn.events
        turnNumber = loop.turn.number
    }

    /// Whole revisions share a response up to a limit. The last one says that the watcher has got everything through
    /// `position`; one before it, only through its own last event.
    mutating func write(
        _ chain: WatchTurn.Chain, of watcher: Watcher, from arena: UnsafeRawBufferPointer, through position: Int64
    ) {
        guard let first = chain.first else { return }
        guard !loop.isLagging(watcher.stream) else { return loop.park(watcher, next: events[first].revision) }
        if chain.isSingle {
            add(range(first, watcher))
            return send(arena, to: watcher, at: position)
        }
        let responseBytesMax =
            watcher.allowsFragments ? min(limits.responseBytesMax, limits.fragmentBytesMax) : limits.responseBytesMax
        let numbers = chain.events
        var place = 0
        while place < numbers.count {
            let revision = events[numbers[place]].revision
            var end = place
            var bytes = 0
            while end < numbers.count, events[numbers[end]].revision == revision {
                bytes += range(numbers[end], watcher).count
                end += 1
            }
            if eventCount > 0, byteCount + bytes > responseBytesMax {
                send(arena, to: watcher, at: events[numbers[place - 1]].revision)
                guard !loop.isLagging(watcher.stream) else { return loop.park(watcher, next: revision) }
            }
            if watcher.allowsFragments, bytes > limits.fragmentBytesMax {
                sendFragments(numbers[place..<end], of: revision, arena, to: watcher)
            } else {
                for number in numbers[place..<end] { add(range(number, watcher)) }
            }
            place = end
        }
        if eventCount > 0 { send(arena, to: watcher, at: position) }
    }

    /// All but the last of a revision's responses say that they are fragments (A7).
    private mutating func sendFragments(
        _ numbers: ArraySlice<Int>, of revision: Int64, _ arena: UnsafeRawBufferPointer, to watcher: Watcher
    ) {
        for number in numbers {
            let range = range(number, watcher)
            if eventCount > 0, byteCount + range.count > limits.fragmentBytesMax {
                send(arena, to: watcher, at: revision, isFragment: true)
            }
            add(range)
        }
        send(arena, to: watcher, at: revision)
    }

    private func range(_ number: Int, _ watcher: Watcher) -> Range<Int> {
        watcher.wantsPrevious ? events[number].withPrevious : events[number].plain
    }

    private mutating func add(_ range: Range<Int>) {
        if let last = pieces.last, last.upperBound == range.lowerBound {
            pieces[pieces.count - 1] = last.lowerBound..<range.upperBound
        } else {
            pieces.append(range)
        }
        byteCount += range.count
        eventCount += 1
    }

    private mutating func send(
        _ arena: UnsafeRawBufferPointer, to watcher: Watcher, at revision: Int64, isFragment: Bool = false
    ) {
        let bytes = WatchEventBytes(
            arena: arena, pieces: pieces, byteCount: byteCount, eventCount: eventCount,
            arenaNumber: turnNumber << 1 | (watcher.wantsPrevious ? 1 : 0))
        watcher.stream.outlet.send(bytes, to: watcher.id, at: Revision(revision), isFragment: isFragment)
        watcher.hadEvents = true
        pieces.removeAll(keepingCapacity: true)
        byteCount = 0
        eventCount = 0
    }
}
