import MVCC
import TestSupport
import Testing

@testable import Replica

/// Whatever happens beside it, a watcher gets exactly the slice of history that it asked for, in order, once, and
/// nothing that it is told promises more than it was given.
@Suite struct WatchHistoryTests {
    private struct Asked {
        var reader: Reader
        var stream: WatchStream
        var request: WatchRequest
        var id: Int64
        var start: Int64
        var isCancelled = false
    }

    @Test(arguments: 0..<120)
    func everyWatcherGetsItsSliceOfHistory(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let store = try WatchedStore()
        var limits = WatchLimits()
        limits.undeliveredBatchesMax = random.pick([1, 4, 256])
        limits.undeliveredBytesMax = random.pick([50, 1 << 20])
        limits.deliveriesPerTurn = random.pick([1, 10, 8192])
        limits.encodedBytesPerTurn = random.pick([1, 500, 1 << 20])
        limits.historyRowsPerTurn = random.pick([1, 3, 1024])
        limits.cohortsMax = random.pick([1, 2, 4])
        limits.responseBytesMax = random.pick([1, 300, 1 << 20])
        limits.fragmentBytesMax = random.pick([1, 200, 1 << 20])
        limits.streamPendingBytesMax = random.pick([200, 2000, 1 << 20])
        limits.drainedBytes = random.pick([0, 100])
        limits.loopPendingBytesMax = random.pick([500, 1 << 20])
        let loops = (0..<random.int(1...2)).map { _ in HandDrivenLoop(store, limits: limits) }
        let hasCompaction = random.chance(60)
        var streams: [(loop: HandDrivenLoop, reader: Reader, stream: WatchStream)] = []
        var asked: [Asked] = []

        for step in 0..<random.int(50...400) {
            switch random.int(0...19) {
            case 0...4: try store.put(random.key(), "\(step)")
            case 5: try store.delete(random.range())
            case 6:
                let puts = Array(Set((0..<random.int(1...4)).map { _ in random.key() })).sorted(by: precedes)
                try store.change(puts: puts, deletes: [KeyRange(key: [120])], "\(step)")
            case 7, 8, 9: try store.publish()
            case 10, 11: for loop in loops { loop.turn() }
            case 12:
                let loop = random.pick(loops)
                let reader = Reader()
                reader.isFast = random.chance(60)
                streams.append((loop, reader, loop.loop.open(reader)))
            case 13, 14:
                guard !streams.isEmpty else { continue }
                let (loop, reader, stream) = random.pick(streams)
                var request = WatchRequest(random.range())
                request.ignoresPuts = random.chance(10)
                request.ignoresDeletes = random.chance(10)
                request.wantsPrevious = random.chance(30)
                request.allowsFragments = random.chance(30)
                request.wantsProgress = random.chance(30)
                let head = Int(store.view.revision.rawValue)
                request.start = Revision(Int64(random.pick([0, 0, random.int(1...head), head + random.int(1...9)])))
                loop.loop.create(request, on: stream)
                guard case .notice(.created(let id), let revision) = reader.seen.last else {
                    Issue.record("not created: \(reader.seen.last as Any)")
                    continue
                }
                let start = request.start.rawValue > 0 ? request.start.rawValue : revision + 1
                asked.append(Asked(reader: reader, stream: stream, request: request, id: id, start: start))
            case 15:
                guard !asked.isEmpty, random.chance(30) else { continue }
                let place = random.int(0...asked.count - 1)
                asked[place].isCancelled = true
                let (id, stream) = (asked[place].id, asked[place].stream)
                streams.first { $0.stream === stream }?.loop.loop.cancel(id, on: stream)
            case 16:
                guard let (loop, _, stream) = streams.isEmpty ? nil : random.pick(streams) else { continue }
                if random.chance(50) { loop.loop.requestProgress(stream) } else { loop.loop.reportProgress(stream) }
            case 17: for (_, reader, _) in streams { reader.take(random.int(0...400)) }
            case 18:
                try store.flushStep()
                if random.chance(10) { store.loseRecord() }
            default:
                guard hasCompaction, random.chance(20) else { continue }
                try store.compact(at: Int64(random.int(1...Int(store.revision))))
                try store.removeCompacted()
            }
        }
        try store.publish()
        var rounds = 0
        repeat {
            for (_, reader, _) in streams { reader.take() }
            for loop in loops { loop.settle() }
            rounds += 1
            try #require(rounds < 10_000)
        } while streams.contains { $0.reader.pendingBytes > 0 }
        for watcher in asked { check(watcher, store) }
        for loop in loops { #expect(loop.loop.laggingBytes == 0) }
    }

    private func check(_ watcher: Asked, _ store: WatchedStore) {
        let got = watcher.reader.events(of: watcher.id)
        let all = store.events(watcher.request, from: watcher.start)
        var endedBy: Int64?
        var isCompacted = false
        var given = 0
        var fragment: Int64?
        for seen in watcher.reader.seen {
            switch seen {
            case .notice(.compacted(watcher.id, let revision), let header):
                #expect(endedBy == nil && header == 0)
                isCompacted = true
                endedBy = revision.rawValue
            case .notice(.cancelled(watcher.id), _): endedBy = 0
            case .notice(.progress(watcher.id), let revision), .notice(.progressOfAll, let revision):
                guard endedBy == nil else { continue }
                // Other watchers may have been created on the stream after such a notice.
                let isPromised = all.prefix { $0.revision <= revision }.count
                if wasCreated(watcher, before: seen) { #expect(given >= isPromised, "a promise that was not kept") }
            case .events(let events, watcher.id, let revision, let isFragment):
                #expect(endedBy == nil, "events after the end")
                if let fragment { #expect(events.first?.revision == fragment) }
                given += events.count
                fragment = isFragment ? revision : nil
                #expect(events.allSatisfy { $0.revision <= revision })
                if !isFragment { #expect(given >= all.prefix { $0.revision <= revision }.count) }
            default: break
            }
        }
        #expect(fragment == nil)
        let expected = endedBy == nil ? all[...] : all.prefix(got.count)
        #expect(got.map { [$0.keyValue] } == expected.map { [$0.keyValue] })
        #expect(got.map(\.kind) == expected.map(\.kind))
        if isCompacted, let endedBy {
            // It ended because what it needed next was gone.
            let next = got.last.map { $0.revision + 1 } ?? watcher.start
            #expect(next < endedBy || all.count > got.count || watcher.start < endedBy)
        }
        for (event, model) in zip(got, expected) {
            if !watcher.request.wantsPrevious {
                #expect(event.previous == nil)
            } else if event.previous != model.previous {
                #expect(event.previous == nil && model.revision <= store.compactRevision)
            }
        }
    }

    private func wasCreated(_ watcher: Asked, before notice: Reader.Seen) -> Bool {
        guard let created = watcher.reader.seen.firstIndex(where: { $0.isCreation(of: watcher.id) }),
            let place = watcher.reader.seen.firstIndex(of: notice)
        else { return false }
        return created < place
    }
}

extension Reader.Seen {
    fileprivate func isCreation(of id: Int64) -> Bool {
        if case .notice(.created(id), _) = self { true } else { false }
    }
}
