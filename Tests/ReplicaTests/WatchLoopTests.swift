import MVCC
import Testing

@testable import Replica

@Suite struct WatchLoopTests {
    private func watch(_ key: String, from start: Int64 = 0) -> WatchRequest {
        var request = WatchRequest(KeyRange(key: Array(key.utf8)))
        request.start = Revision(start)
        return request
    }

    private var everything: WatchRequest { WatchRequest(KeyRange(key: [0], end: .fromKey)) }

    // MARK: Where a watcher begins

    @Test func fromNowOn() throws {
        let store = try WatchedStore()
        let hand = HandDrivenLoop(store)
        let reader = Reader()
        try store.put("a")
        try store.publish()
        let stream = hand.loop.open(reader)
        hand.loop.create(watch("a"), on: stream)
        #expect(reader.seen == [.notice(.created(id: 0), 2)])
        try store.put("a")
        try store.put("b")
        try store.put("a")
        try store.publish()
        hand.settle()
        #expect(reader.events(of: 0).map(\.revision) == [3, 5])
        #expect(reader.events(of: 0) == store.events(watch("a"), from: 3))
    }

    /// A3, K1: from a past revision, that one included; the events come after `created` (A11).
    @Test func fromThePast() throws {
        let store = try WatchedStore()
        for _ in 0..<10 { try store.put("a") }
        try store.publish()
        let hand = HandDrivenLoop(store)
        let reader = Reader()
        hand.loop.create(watch("a", from: 5), on: hand.loop.open(reader))
        hand.settle()
        #expect(reader.seen.first == .notice(.created(id: 0), 11))
        #expect(reader.events(of: 0).map(\.revision) == [5, 6, 7, 8, 9, 10, 11])
    }

    /// A5, etcd issue 20221.
    @Test func fromTheFuture() throws {
        let store = try WatchedStore()
        let hand = HandDrivenLoop(store)
        let reader = Reader()
        hand.loop.create(watch("a", from: 5), on: hand.loop.open(reader))
        for _ in 0..<6 {
            try store.put("a")
            try store.publish()
            hand.settle()
        }
        #expect(reader.events(of: 0).map(\.revision) == [5, 6, 7])
    }

    /// The first batch after somebody came was not recorded: a gap that history fills.
    @Test func theFirstBatchIsAGap() throws {
        let store = try WatchedStore()
        let hand = HandDrivenLoop(store)
        let reader = Reader()
        hand.loop.create(watch("a"), on: hand.loop.open(reader))
        try store.put("a", "1")
        try store.publish()
        hand.settle()
        #expect(hand.loop.gaps == 1)
        try store.put("a", "2")
        try store.publish()
        hand.settle()
        #expect(hand.loop.gaps == 1)
        #expect(reader.events(of: 0).map(\.revision) == [2, 3])
    }

    @Test func refusals() throws {
        let store = try WatchedStore()
        var limits = WatchLimits()
        limits.watchersPerStreamMax = 2
        let hand = HandDrivenLoop(store, limits: limits)
        let reader = Reader()
        let stream = hand.loop.open(reader)
        hand.loop.create(watch("a", from: -1), on: stream)
        hand.loop.create(WatchRequest(KeyRange(key: [2], end: .upTo([2]))), on: stream)
        hand.loop.create(WatchRequest(KeyRange(key: [2], end: .upTo([1]))), on: stream)
        var request = watch("a")
        request.id = 7
        hand.loop.create(request, on: stream)
        hand.loop.create(request, on: stream)
        hand.loop.create(watch("a"), on: stream)
        hand.loop.create(watch("a"), on: stream)
        #expect(
            reader.notices == [
                .refused(.negativeStart), .refused(.emptyRange), .refused(.emptyRange), .created(id: 7),
                .refused(.duplicateID), .created(id: 0), .refused(.tooMany),
            ])
    }

    /// A1, A10.
    @Test func idsAndCancellation() throws {
        let store = try WatchedStore()
        let hand = HandDrivenLoop(store)
        let reader = Reader()
        let stream = hand.loop.open(reader)
        for _ in 0..<3 { hand.loop.create(watch("a"), on: stream) }
        hand.loop.cancel(1, on: stream)
        hand.loop.cancel(1, on: stream)
        hand.loop.cancel(99, on: stream)
        hand.loop.create(watch("a"), on: stream)
        #expect(
            reader.notices == [
                .created(id: 0), .created(id: 1), .created(id: 2), .cancelled(id: 1), .created(id: 3),
            ])
        try store.put("a")
        try store.publish()
        hand.settle()
        #expect(reader.events(of: 1).isEmpty)
        #expect(reader.events(of: 3).count == 1)
    }

    // MARK: Compaction

    /// A4, and etcd issues 18089 and 19179: a delete at the compacted revision itself is still told.
    @Test func compacted() throws {
        let store = try WatchedStore()
        try store.put("a")  // 2
        try store.put("a")  // 3
        try store.delete(KeyRange(key: Array("a".utf8)))  // 4
        try store.put("b")  // 5
        try store.compact(at: 4)
        for _ in 0..<10 { try store.removeCompacted() }
        try store.publish()
        let hand = HandDrivenLoop(store)
        let reader = Reader()
        let stream = hand.loop.open(reader)
        hand.loop.create(watch("a", from: 3), on: stream)
        #expect(reader.notices == [.created(id: 0)])
        hand.loop.create(watch("a", from: 4), on: stream)
        hand.settle()
        #expect(reader.seen.contains(.notice(.compacted(id: 0, compactRevision: Revision(4)), 0)))
        #expect(reader.events(of: 0).isEmpty)
        #expect(reader.events(of: 1).map(\.kind) == [.delete])
        hand.loop.cancel(0, on: stream)
        #expect(reader.notices.count == 3)
    }

    /// What a watcher that keeps up has got already may be compacted under it.
    @Test func compactionBehindAWatcher() throws {
        let store = try WatchedStore()
        let hand = HandDrivenLoop(store)
        let reader = Reader()
        hand.loop.create(everything, on: hand.loop.open(reader))
        for number in 0..<20 {
            try store.put("k\(number % 3)")
            try store.publish()
            hand.settle()
            try store.compact(at: store.revision)
            try store.removeCompacted()
        }
        try store.publish()
        hand.settle()
        #expect(reader.events(of: 0).count == 20)
        #expect(reader.notices == [.created(id: 0)])
    }

    /// Behind a gap that was compacted meanwhile there is no way on (A4).
    @Test func compactionInAGap() throws {
        let store = try WatchedStore()
        let hand = HandDrivenLoop(store)
        let (reader, future) = (Reader(), Reader())
        hand.loop.create(everything, on: hand.loop.open(reader))
        var request = everything
        request.start = Revision(12)
        hand.loop.create(request, on: hand.loop.open(future))
        for _ in 0..<10 { try store.put("a") }
        store.loseRecord()
        try store.compact(at: 9)
        try store.publish()
        hand.settle()
        #expect(reader.notices == [.created(id: 0), .compacted(id: 0, compactRevision: Revision(9))])
        try store.put("a")
        try store.publish()
        hand.settle()
        #expect(future.events(of: 0).map(\.revision) == [12])
    }

    // MARK: History and the present

    /// Those that come from the past, while batches go on arriving, in slices of two rows.
    @Test func catchUpBesideBatches() throws {
        let store = try WatchedStore()
        for number in 0..<30 { try store.put("k\(number % 4)") }
        try store.publish()
        var limits = WatchLimits()
        limits.historyRowsPerTurn = 2
        let hand = HandDrivenLoop(store, limits: limits)
        let readers = (0..<6).map { _ in Reader() }
        for (number, reader) in readers.enumerated() {
            hand.loop.create(watch("k1", from: Int64(2 + number * 4)), on: hand.loop.open(reader))
            hand.turn()
            try store.put("k\(number % 4)")
            try store.publish()
        }
        hand.settle()
        for (number, reader) in readers.enumerated() {
            #expect(reader.events(of: 0) == store.events(watch("k1"), from: Int64(2 + number * 4)))
        }
    }

    @Test func aLoopThatDoesNotKeepUpGetsAGap() throws {
        let store = try WatchedStore()
        var limits = WatchLimits()
        limits.undeliveredBatchesMax = 3
        let hand = HandDrivenLoop(store, limits: limits)
        let reader = Reader()
        hand.loop.create(everything, on: hand.loop.open(reader))
        try store.publish()
        hand.settle()
        for _ in 0..<10 {
            try store.put("a")
            try store.publish()
        }
        hand.settle()
        #expect(reader.events(of: 0) == store.events(everything, from: 2))
        #expect(hand.loop.gaps == 1)
    }

    /// The changes of one revision come together, in their order (A7).
    @Test func oneRevisionIsOneResponse() throws {
        let store = try WatchedStore()
        var limits = WatchLimits()
        limits.deliveriesPerTurn = 1
        limits.historyRowsPerTurn = 1
        limits.responseBytesMax = 1
        let hand = HandDrivenLoop(store, limits: limits)
        let (now, later) = (Reader(), Reader())
        hand.loop.create(everything, on: hand.loop.open(now))
        try store.publish()
        hand.settle()
        for number in 0..<3 {
            try store.change(puts: ["a", "b", "c"].map { Array($0.utf8) }, deletes: [], "\(number)")
            try store.change(puts: [Array("z".utf8)], deletes: [KeyRange(key: Array("b".utf8))], "")
        }
        try store.publish()
        var request = everything
        request.start = Revision(2)
        hand.loop.create(request, on: hand.loop.open(later))
        hand.settle()
        for reader in [now, later] {
            var revisions: [Int64] = []
            for case .events(let events, _, let revision, _) in reader.seen {
                #expect(Set(events.map(\.revision)) == [revision])
                revisions.append(revision)
            }
            #expect(revisions == [2, 3, 4, 5, 6, 7])
            #expect(reader.keys(of: 0) == Array(repeating: ["a", "b", "c", "z", "b"], count: 3).flatMap { $0 })
        }
    }

    /// A7: only who asked for it gets fragments, and all but the last say so.
    @Test func fragments() throws {
        let store = try WatchedStore()
        var limits = WatchLimits()
        limits.fragmentBytesMax = 200
        let hand = HandDrivenLoop(store, limits: limits)
        let (plain, divided) = (Reader(), Reader())
        hand.loop.create(everything, on: hand.loop.open(plain))
        var request = everything
        request.allowsFragments = true
        hand.loop.create(request, on: hand.loop.open(divided))
        try store.publish()
        hand.settle()
        try store.put("x")
        try store.change(puts: (0..<9).map { [UInt8(97 + $0)] }, deletes: [], String(repeating: "v", count: 30))
        try store.put("y", String(repeating: "v", count: 500))
        try store.publish()
        hand.settle()
        #expect(plain.seen.count == 2)
        var marks: [Bool] = []
        for case .events(let events, _, let revision, let isFragment) in divided.seen {
            marks.append(isFragment)
            if isFragment { #expect(events.allSatisfy { $0.revision == revision }) }
        }
        #expect(marks.filter { $0 }.count >= 2)
        #expect(marks.first == false && marks.last == false)
        #expect(divided.events(of: 0) == plain.events(of: 0))
    }

    /// A6: the pair before, unless the change made it or the revision before was compacted.
    @Test func previousPairs() throws {
        let store = try WatchedStore()
        let hand = HandDrivenLoop(store)
        let (reader, other) = (Reader(), Reader())
        var request = everything
        request.wantsPrevious = true
        hand.loop.create(request, on: hand.loop.open(reader))
        hand.loop.create(everything, on: hand.loop.open(other))
        try store.publish()
        hand.settle()
        try store.put("a", "1")  // 2
        try store.put("a", "2")  // 3
        try store.publish()
        hand.settle()
        try store.delete(KeyRange(key: Array("a".utf8)))  // 4
        try store.put("a", "3")  // 5
        try store.publish()
        hand.settle()
        let values = reader.events(of: 0).map { $0.previous.map { String(decoding: $0.value, as: UTF8.self) } }
        #expect(values == [nil, "1", "2", nil])
        #expect(other.events(of: 0).allSatisfy { $0.previous == nil })
        // From history the same, but for what was compacted.
        try store.compact(at: 4)
        try store.publish()
        request.start = Revision(4)
        let late = Reader()
        hand.loop.create(request, on: hand.loop.open(late))
        hand.settle()
        #expect(late.events(of: 0).map { $0.previous?.value } == [nil, nil])
    }

    @Test func filters() throws {
        let store = try WatchedStore()
        let hand = HandDrivenLoop(store)
        let (noPuts, noDeletes) = (Reader(), Reader())
        var request = everything
        request.ignoresPuts = true
        hand.loop.create(request, on: hand.loop.open(noPuts))
        request = everything
        request.ignoresDeletes = true
        hand.loop.create(request, on: hand.loop.open(noDeletes))
        try store.put("a")
        try store.delete(KeyRange(key: Array("a".utf8)))
        try store.publish()
        hand.settle()
        #expect(noPuts.events(of: 0).map(\.kind) == [.delete])
        #expect(noDeletes.events(of: 0).map(\.kind) == [.put])
    }

    // MARK: Slow readers

    @Test func aSlowReaderHoldsUpNobodyAndMissesNothing() throws {
        let store = try WatchedStore()
        var limits = WatchLimits()
        limits.streamPendingBytesMax = 1000
        limits.drainedBytes = 100
        let hand = HandDrivenLoop(store, limits: limits)
        let (fast, slow) = (Reader(), Reader())
        slow.isFast = false
        hand.loop.create(everything, on: hand.loop.open(fast))
        hand.loop.create(everything, on: hand.loop.open(slow))
        for number in 0..<200 {
            try store.put("k\(number % 7)", String(repeating: "v", count: 50))
            try store.publish()
            hand.settle()
        }
        #expect(fast.events(of: 0) == store.events(everything, from: 2))
        #expect(slow.pendingBytes < 1500)
        #expect(slow.events(of: 0).count < 20)
        while slow.pendingBytes > 0 {
            slow.take()
            hand.settle()
        }
        #expect(slow.events(of: 0) == store.events(everything, from: 2))
        #expect(hand.loop.laggingBytes == 0)
    }

    /// Many readers that are slow together get less each.
    @Test func theLoopsLimit() throws {
        let store = try WatchedStore()
        var limits = WatchLimits()
        limits.streamPendingBytesMax = 100_000
        limits.loopPendingBytesMax = 20_000
        limits.drainedBytes = 500
        let hand = HandDrivenLoop(store, limits: limits)
        let readers = (0..<100).map { _ in Reader() }
        for reader in readers {
            reader.isFast = false
            hand.loop.create(everything, on: hand.loop.open(reader))
        }
        for _ in 0..<200 {
            try store.put("k", String(repeating: "v", count: 100))
            try store.publish()
            hand.settle()
        }
        let pending = readers.reduce(0) { $0 + $1.pendingBytes }
        #expect(pending < 20_000 + 100 * (500 + 2 * 200))
        for reader in readers { reader.isFast = true }
        for reader in readers { reader.take() }
        hand.settle()
        for reader in readers { #expect(reader.events(of: 0).count == 200) }
        #expect(hand.loop.laggingBytes == 0)
    }

    // MARK: Progress

    /// A9 and etcd issue 15220: never before the events that it covers.
    @Test func progressWaitsForEvents() throws {
        let store = try WatchedStore()
        for _ in 0..<20 { try store.put("a") }
        try store.publish()
        var limits = WatchLimits()
        limits.historyRowsPerTurn = 3
        let hand = HandDrivenLoop(store, limits: limits)
        let reader = Reader()
        let stream = hand.loop.open(reader)
        hand.loop.requestProgress(stream)
        #expect(reader.notices.isEmpty)
        hand.loop.create(watch("b"), on: stream)
        hand.loop.create(watch("a", from: 2), on: stream)
        hand.loop.requestProgress(stream)
        #expect(!reader.notices.contains(.progressOfAll))
        hand.settle()
        #expect(reader.seen.last == .notice(.progressOfAll, 21))
        #expect(reader.events(of: 1).count == 20)
        // What is published and not told yet is not promised.
        try store.put("a")
        try store.publish()
        hand.loop.requestProgress(stream)
        #expect(reader.seen.last == .notice(.progressOfAll, 21))
        hand.settle()
        hand.loop.requestProgress(stream)
        #expect(reader.seen.last == .notice(.progressOfAll, 22))
    }

    /// Seed 233 of the simulator: nothing but the reader held the answer up, nothing else happened, and it never came.
    @Test func progressWaitsForItsReaderAndThenComes() throws {
        let store = try WatchedStore()
        var limits = WatchLimits()
        limits.drainedBytes = 100
        limits.streamPendingBytesMax = 150
        let hand = HandDrivenLoop(store, limits: limits)
        let reader = Reader()
        reader.isFast = false
        let stream = hand.loop.open(reader)
        hand.loop.create(everything, on: stream)
        try store.put("a", String(repeating: "v", count: 200))
        try store.publish()
        hand.settle()
        #expect(reader.events(of: 0).count == 1)
        hand.loop.requestProgress(stream)
        #expect(!reader.notices.contains(.progressOfAll))
        reader.take()
        hand.settle()
        #expect(reader.seen.last == .notice(.progressOfAll, 2))
    }

    /// Found by the simulator: a watcher of a revision to come held the answer up, and when it was cancelled nobody
    /// looked again whether the others were there.
    @Test func progressThatWaitedForACancelledWatcherComes() throws {
        let store = try WatchedStore()
        try store.put("a")
        try store.publish()
        let hand = HandDrivenLoop(store)
        let reader = Reader()
        let stream = hand.loop.open(reader)
        hand.loop.create(everything, on: stream)
        hand.loop.create(watch("a", from: 100), on: stream)
        hand.settle()
        hand.loop.requestProgress(stream)
        hand.settle()
        #expect(!reader.notices.contains(.progressOfAll))
        hand.loop.cancel(1, on: stream)
        hand.settle()
        #expect(reader.seen.last == .notice(.progressOfAll, 2))
    }

    /// A8: only those that asked for it, and that had no event.
    @Test func progressNotifications() throws {
        let store = try WatchedStore()
        let hand = HandDrivenLoop(store)
        let reader = Reader()
        let stream = hand.loop.open(reader)
        var request = watch("a")
        request.wantsProgress = true
        hand.loop.create(request, on: stream)
        hand.loop.create(watch("a"), on: stream)
        request.range.key = [98]
        hand.loop.create(request, on: stream)
        try store.put("a")
        try store.publish()
        hand.settle()
        reader.clear()
        hand.loop.reportProgress(stream)
        #expect(reader.seen == [.notice(.progress(id: 2), 2)])
        hand.loop.reportProgress(stream)
        #expect(reader.seen.suffix(2) == [.notice(.progress(id: 0), 2), .notice(.progress(id: 2), 2)])
    }

    // MARK: Many

    @Test func nobodyIsTouchedInVain() throws {
        let store = try WatchedStore()
        let hand = HandDrivenLoop(store)
        let (many, one) = (Reader(), Reader())
        let stream = hand.loop.open(many)
        for number in 0..<10_000 { hand.loop.create(watch("k\(number)"), on: stream) }
        hand.loop.create(watch("x"), on: hand.loop.open(one))
        try store.publish()
        hand.settle()
        many.clear()
        try store.put("x")
        try store.put("k77")
        try store.publish()
        hand.settle()
        #expect(many.seen.count == 1)
        #expect(many.keys(of: 77) == ["k77"])
        #expect(one.keys(of: 0) == ["x"])
    }

    @Test func recordingEndsWithTheLastWatcher() throws {
        let store = try WatchedStore()
        let hand = HandDrivenLoop(store)
        let reader = Reader()
        let stream = hand.loop.open(reader)
        hand.loop.create(watch("a"), on: stream)
        try store.put("a")
        try store.publish()
        hand.settle()
        hand.loop.close(stream)
        #expect(hand.loop.watcherCount == 0)
        try store.put("a")
        try store.publish()
        #expect(!hand.turn())
        // And begins anew with the next, who hears nothing of what was between.
        let next = Reader()
        hand.loop.create(watch("a"), on: hand.loop.open(next))
        try store.put("a")
        try store.publish()
        hand.settle()
        #expect(next.events(of: 0).map(\.revision) == [4])
        #expect(reader.events(of: 0).map(\.revision) == [2])
    }
}
