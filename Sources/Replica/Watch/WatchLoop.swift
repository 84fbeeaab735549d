package import MVCC

/// All watchers of one event loop: from what the state has changed, or from history, to their streams' outlets.
///
/// A watcher is in one of two situations. Either it follows what happens now: then it is in the cohort ``live``, which
/// gets every batch of the feed. Or it comes from the past: then it is in one of a few cohorts that walk through
/// history, each in bounded slices, all of a cohort's watchers together, until they have reached the live cohort's
/// position and join it. Where the feed has a gap, the live cohort itself walks through history for a while.
///
/// That a watcher gets every event once, and in order, rests on one rule: a cohort's `position` only grows, by whole
/// revisions, and a watcher gets an event when its cohort passes it, if the event is not before the watcher's own
/// `next`. So it may join any cohort whose position is before its `next`.
///
/// Used on its loop's thread only. It knows neither sockets nor clocks: the same object runs in the server and in the
/// simulator.
package final class WatchLoop {
    let limits: WatchLimits
    private let feed: WatchFeed
    private let inbox: WatchInbox
    private let newestView: () -> ReadView
    let encoder: any WatchEventEncoder
    private let schedule: @Sendable () -> Void
    private let failed: (StateError) -> Void

    /// Those that are open: watchers do not keep theirs alive.
    private var streams: [ObjectIdentifier: WatchStream] = [:]

    let live = Cohort(position: 0)
    /// The batch that is being told, and how many of its changes have been.
    private var current: (batch: ChangeBatch, told: Int)?
    /// The live cohort walks through history, because of a gap up to here.
    private var gapEnd: Int64?
    var behind: [Cohort] = []
    private var nextBehind = 0
    /// Watchers for which no cohort had a place.
    private var waiting: ContiguousArray<Watcher> = []
    private var progressOwed: ContiguousArray<WatchStream> = []
    private var isScheduled = false
    private var hasFailed = false

    var turn = WatchTurn()
    /// Bytes that wait on streams with more than ``WatchLimits/drainedBytes`` of them.
    var laggingBytes = 0

    #if MARTLET_MUTATIONS
        /// Mistakes made on purpose, to see whether the simulator finds them.
        package var faults: HistoryFaults = []
    #endif

    package private(set) var watcherCount = 0
    /// How many times the feed had a gap.
    package private(set) var gaps = 0

    /// - Parameters:
    ///   - newestView: the state as it was last published; any thread's.
    ///   - schedule: arranges that ``takeTurn()`` is called soon, on the loop's thread; called from any thread.
    ///   - failed: told once, if the member's own data cannot be read; after that the loop does nothing more.
    package init(
        feed: WatchFeed, limits: WatchLimits, newestView: @escaping () -> ReadView,
        encoder: any WatchEventEncoder, schedule: @escaping @Sendable () -> Void,
        failed: @escaping (StateError) -> Void
    ) {
        self.feed = feed
        self.limits = limits
        self.newestView = newestView
        self.encoder = encoder
        self.schedule = schedule
        self.failed = failed
        inbox = WatchInbox(
            batchesMax: limits.undeliveredBatchesMax, bytesMax: limits.undeliveredBytesMax, announce: schedule)
    }

    deinit { feed.unsubscribe(inbox) }

    // MARK: Streams

    /// To be closed by whoever opened it.
    package func open(_ outlet: any WatchOutlet) -> WatchStream {
        let stream = WatchStream(outlet: outlet)
        streams[ObjectIdentifier(stream)] = stream
        return stream
    }

    /// The stream has ended; its outlet is not used any more.
    package func close(_ stream: WatchStream) {
        guard !stream.isClosed else { return }
        stream.isClosed = true
        streams[ObjectIdentifier(stream)] = nil
        let watchers = stream.watchers.sorted { $0.key < $1.key }
        stream.watchers = [:]
        // In an order that is the same in every process: those who stay change places in their groups.
        for (_, watcher) in watchers { release(watcher) }
        stream.parked = []
        uncount(stream)
        stopIfIdle()
    }

    /// Creates a watcher, or says why not: the stream hears of it before anything else of that watcher (A2, A11).
    package func create(_ request: WatchRequest, on stream: WatchStream) {
        guard !stream.isClosed, !hasFailed else { return }
        if watcherCount == 0 { begin() }
        defer { stopIfIdle() }
        let head = newestView().revision
        func refuse(_ reason: WatchRefusal) { stream.outlet.send(.refused(reason), at: head) }
        guard request.start.rawValue >= 0 else { return refuse(.negativeStart) }
        if case .upTo(let end) = request.range.end, !precedes(request.range.key, end) { return refuse(.emptyRange) }
        guard stream.watchers.count < limits.watchersPerStreamMax else { return refuse(.tooMany) }
        guard let id = stream.takeID(asked: request.id) else { return refuse(.duplicateID) }

        var next = request.start.rawValue > 0 ? request.start.rawValue : head.rawValue + 1
        if ignoresFutureStart { next = min(next, head.rawValue + 1) }
        let watcher = Watcher(request, id: id, stream: stream, next: next, floor: min(next - 1, head.rawValue))
        stream.watchers[id] = watcher
        watcherCount += 1
        stream.outlet.send(.created(id: id), at: head)
        enlist(watcher)
    }

    /// Ends a watcher. One that does not exist is none of our business (A10).
    package func cancel(_ id: Int64, on stream: WatchStream) {
        guard let watcher = stream.watchers.removeValue(forKey: id) else { return }
        release(watcher)
        // It was perhaps this one that the stream's progress waited for: nothing else may happen that would ask again.
        if stream.owesProgress { askForTurn() }
        stream.outlet.send(.cancelled(id: id), at: newestView().revision)
        stopIfIdle()
    }

    /// Asked by the client for the progress of all watchers: answered once they all have got what there is (A9).
    package func requestProgress(_ stream: WatchStream) {
        guard !stream.watchers.isEmpty, !stream.owesProgress, !stream.isClosed else { return }
        stream.owesProgress = true
        progressOwed.append(stream)
        answerProgress()
    }

    /// Time has passed: tells those watchers that want it, that nothing happened (A8).
    package func reportProgress(_ stream: WatchStream) {
        guard !stream.isClosed, !isLagging(stream) else { return }
        for id in stream.watchers.keys.sorted() {
            guard let watcher = stream.watchers[id], watcher.wantsProgress else { continue }
            if watcher.hadEvents {
                watcher.hadEvents = false
            } else if isCaughtUp(watcher) {
                stream.outlet.send(.progress(id: id), at: max(promised, Revision(watcher.floor)))
            }
        }
    }

    // MARK: Turns

    /// Does a bounded piece of what there is to do, and asks for another turn if that was not all.
    package func takeTurn() {
        isScheduled = false
        guard !hasFailed else { return }
        do throws(StateError) {
            let isLiveDone = try takeLiveTurn()
            try takeHistoryTurn()
            answerProgress()
            if !isLiveDone || !behind.isEmpty || !waiting.isEmpty { askForTurn() }
            stopIfIdle()
        } catch {
            hasFailed = true
            failed(error)
        }
    }

    func askForTurn() {
        guard !isScheduled else { return }
        isScheduled = true
        schedule()
    }

    /// Tells the live cohort of batches; false if there is more to do at once.
    private func takeLiveTurn() throws(StateError) -> Bool {
        var work = 0
        while work < limits.deliveriesPerTurn {
            if let end = gapEnd {
                if !live.members.isEmpty { try takeSlice(of: live) } else { live.position = max(live.position, end) }
                if live.position >= end {
                    gapEnd = nil
                    live.position += offsetAfterGap
                }
                return false
            }
            guard let (batch, told) = current ?? inbox.take().map({ ($0, 0) }) else { return true }
            current = nil
            guard batch.to.rawValue > live.position else { continue }
            guard !live.members.isEmpty else {
                live.position = batch.to.rawValue
                continue
            }
            guard let changes = batch.changes, let view = batch.view, batch.from.rawValue <= live.position + 1 else {
                gaps += 1
                gapEnd = batch.to.rawValue
                continue
            }
            let reached = try match(changes, from: told, view)
            work += turn.deliveries + (reached - told)
            if reached < changes.count {
                current = (batch, reached)
                deliver(through: changes[reached - 1].id.revision.rawValue, of: live)
            } else {
                deliver(through: batch.to.rawValue, of: live)
            }
        }
        return false
    }

    /// Matches changes from number `first` on, revision by revision, until the turn is full; says how many are matched.
    private func match(_ changes: [Change], from first: Int, _ view: ReadView) throws(StateError) -> Int {
        turn.removeAll()
        var place = first
        while place < changes.count {
            let revision = changes[place].id.revision
            if place > first, revision > changes[place - 1].id.revision, isTurnFull { break }
            if revision.rawValue > live.position {
                let change = changes[place]
                let interest = turn.match(change.keyValue.key, change.kind, at: revision.rawValue, in: live)
                if interest != .none {
                    var previous = interest == .changeAndPrevious ? try view.previous(of: change) : nil
                    if previousIsOneTooOld, let pair = previous {
                        var before = change
                        (before.kind, before.keyValue) = (.put, pair)
                        before.id.revision = pair.modRevision
                        previous = try view.previous(of: before)
                    }
                    append(change, previous: previous)
                }
            }
            place += 1
        }
        return place
    }

    private func append(_ change: Change, previous: KeyValue?) {
        change.keyValue.withBorrowed { keyValue in
            if let previous {
                previous.withBorrowed { turn.append(change.kind, keyValue, previous: $0, encoder) }
            } else {
                turn.append(change.kind, keyValue, previous: nil, encoder)
            }
        }
    }

    var isTurnFull: Bool {
        turn.deliveries >= limits.deliveriesPerTurn || turn.encodedBytes >= limits.encodedBytesPerTurn
    }

    // MARK: History

    /// One slice of one of the cohorts that come from the past.
    private func takeHistoryTurn() throws(StateError) {
        placeWaiting()
        guard !behind.isEmpty else { return }
        nextBehind = (nextBehind + 1) % behind.count
        let cohort = behind[nextBehind]
        if !cohort.members.isEmpty { try takeSlice(of: cohort) }
        if cohort.position >= live.position - missingAtJoin || cohort.members.isEmpty {
            behind.remove(at: nextBehind)
            while let watcher = cohort.members.last {
                cohort.remove(watcher)
                watcher.next = max(watcher.next, cohort.position + 1)
                watcher.floor = max(watcher.floor, cohort.position)
                live.insert(watcher)
            }
        }
    }

    private func takeSlice(of cohort: Cohort) throws(StateError) {
        let view = newestView()
        if cohort.position + 1 < view.compactRevision.rawValue { endCompacted(cohort, view.compactRevision) }
        guard !cohort.members.isEmpty else { return }
        turn.removeAll()
        var matcher = HistoryMatcher(loop: self, cohort: cohort)
        var reader: HistoryReader
        do throws(RequestError) {
            reader = try view.history(from: Revision(cohort.position + 1))
        } catch {
            preconditionFailure("a cohort stands before the compact revision: \(error)")
        }
        try reader.step(rowsMax: limits.historyRowsPerTurn, into: &matcher)
        deliver(through: reader.next.rawValue - 1, of: cohort)
    }

    /// What these watchers would get next can be read no more (A4). Those that want nothing so old stay.
    private func endCompacted(_ cohort: Cohort, _ compactRevision: Revision) {
        for watcher in cohort.members where max(watcher.next, cohort.position + 1) < compactRevision.rawValue {
            if hidesCompaction { continue }
            cohort.remove(watcher)
            watcher.place = .gone
            watcherCount -= 1
            let stream = watcher.stream
            stream.watchers[watcher.id] = nil
            stream.outlet.send(.compacted(id: watcher.id, compactRevision: compactRevision), at: Revision(0))
        }
        cohort.position = compactRevision.rawValue - 1
    }

    // MARK: Where a watcher goes

    /// A slice or two farther than this, a cohort is no company for who comes later.
    private var companyDistance: Int64 { Int64(limits.historyRowsPerTurn) * 2 }

    private func enlist(_ watcher: Watcher) {
        if watcher.next > live.position { return live.insert(watcher) }
        if let cohort = nearest(to: watcher), watcher.next - cohort.position <= companyDistance {
            return cohort.insert(watcher)
        }
        watcher.place = .waiting
        waiting.append(watcher)
        askForTurn()
    }

    /// The cohort with the latest position before the watcher's next event.
    private func nearest(to watcher: Watcher) -> Cohort? {
        var found: Cohort?
        for cohort in behind where cohort.position < watcher.next && cohort.position > found?.position ?? -1 {
            found = cohort
        }
        return found
    }

    /// All that wait go into a cohort together.
    private func placeWaiting() {
        guard !waiting.isEmpty, behind.count < limits.cohortsMax else { return }
        let candidates = waiting
        waiting = []
        var first = Int64.max
        for watcher in candidates {
            guard case .waiting = watcher.place else { continue }
            first = min(first, watcher.next)
        }
        guard first < .max else { return }
        let cohort = Cohort(position: first - 1)
        for watcher in candidates {
            guard case .waiting = watcher.place else { continue }
            cohort.insert(watcher)
        }
        behind.append(cohort)
    }

    /// The stream's reader is too slow: the watcher goes on later, from `next` on.
    func park(_ watcher: Watcher, next: Int64) {
        leave(watcher)
        watcher.next = next + revisionsSkippedByParking
        watcher.place = .parked
        watcher.stream.parked.append(watcher)
    }

    /// The reader has caught up with what was sent.
    func drained(_ stream: WatchStream) {
        stream.awaitsDrain = false
        uncount(stream)
        guard !stream.isClosed else { return }
        // It was perhaps only its reader that the answer waited for: nothing else may happen that would ask again.
        if stream.owesProgress { askForTurn() }
        let parked = stream.parked
        stream.parked = []
        for watcher in parked {
            guard case .parked = watcher.place else { continue }
            enlist(watcher)
        }
    }

    private func release(_ watcher: Watcher) {
        leave(watcher)
        watcher.place = .gone
        watcherCount -= 1
    }

    /// Those that wait or are parked stay in their lists, and are passed over there.
    private func leave(_ watcher: Watcher) {
        if case .cohort(let cohort) = watcher.place { cohort.remove(watcher) }
    }

    // MARK: Progress

    private func isCaughtUp(_ watcher: Watcher) -> Bool {
        guard gapEnd == nil, watcher.start <= live.position, case .cohort(let cohort) = watcher.place else {
            return false
        }
        return cohort === live
    }

    /// All later events are newer: so it is the loop's position, not the state's revision, which may be ahead of what
    /// the watchers have been given.
    private var promised: Revision { progressBeforeEvents ? newestView().revision : Revision(live.position) }

    private func answerProgress() {
        guard !progressOwed.isEmpty else { return }
        progressOwed.removeAll { stream in
            guard !stream.isClosed, !stream.watchers.isEmpty else {
                stream.owesProgress = false
                return true
            }
            guard
                stream.watchers.values.allSatisfy({ isCaughtUp($0) && $0.floor <= live.position }),
                !isLagging(stream)
            else { return false }
            stream.owesProgress = false
            stream.outlet.send(.progressOfAll, at: promised)
            return true
        }
    }

    // MARK: The feed

    /// The first watcher has come. What is published now counts as told: the first batch of the feed covers what comes
    /// after, or says that it does not.
    private func begin() {
        feed.subscribe(inbox)
        live.position = max(live.position, newestView().revision.rawValue)
    }

    private func stopIfIdle() {
        guard watcherCount == 0 else { return }
        feed.unsubscribe(inbox)
        inbox.removeAll()
        current = nil
        gapEnd = nil
        waiting = []
        behind = []
    }
}

/// Reads history for one cohort.
private struct HistoryMatcher: HistoryVisitor {
    let loop: WatchLoop
    let cohort: Cohort

    func interest(in key: UnsafeRawBufferPointer, _ kind: Change.Kind, at revision: Revision) -> HistoryInterest {
        loop.turn.match(Array(key), kind, at: revision.rawValue, in: cohort)
    }

    func visit(_ change: BorrowedChange, previous: BorrowedKeyValue?) {
        loop.turn.append(change.kind, change.keyValue, previous: previous, loop.encoder)
    }

    var isFull: Bool { loop.isTurnFull }
}
