import MVCC
internal import Synchronization

/// Batches on their way from the thread that applies to one event loop: a bounded queue. Where the loop does not keep
/// up, what waits becomes one gap, and is read from history later.
package final class WatchInbox: Sendable {
    private struct Waiting {
        var batches: [ChangeBatch] = []
        var bytes = 0
        var isAnnounced = false
    }

    private let waiting = Mutex(Waiting())
    private let batchesMax: Int
    private let bytesMax: Int
    /// Arranges that the loop looks into the inbox. Called on the thread that applies, once until it does.
    private let announce: @Sendable () -> Void

    package init(batchesMax: Int, bytesMax: Int, announce: @escaping @Sendable () -> Void) {
        self.batchesMax = batchesMax
        self.bytesMax = bytesMax
        self.announce = announce
    }

    package func post(_ batch: ChangeBatch) {
        let isNews = waiting.withLock { waiting in
            if let last = waiting.batches.last, last.isGap {
                // Whoever reads history reads all of it.
                waiting.batches[waiting.batches.count - 1].to = batch.to
            } else if let first = waiting.batches.first,
                waiting.batches.count >= batchesMax || waiting.bytes + batch.byteCount > bytesMax
            {
                waiting.batches = [ChangeBatch(from: first.from, to: batch.to)]
                waiting.bytes = 0
            } else {
                waiting.batches.append(batch)
                waiting.bytes += batch.byteCount
            }
            defer { waiting.isAnnounced = true }
            return !waiting.isAnnounced
        }
        if isNews { announce() }
    }

    /// The oldest batch. Once there is none, the next one is announced.
    func take() -> ChangeBatch? {
        waiting.withLock { waiting in
            guard !waiting.batches.isEmpty else {
                waiting.isAnnounced = false
                return nil
            }
            let batch = waiting.batches.removeFirst()
            waiting.bytes -= batch.byteCount
            return batch
        }
    }

    func removeAll() {
        waiting.withLock { waiting in
            waiting.batches = []
            waiting.bytes = 0
        }
    }
}
