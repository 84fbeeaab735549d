package import MVCC
package import RaftCore
import Synchronization

/// What the state's running hash was after each of the newest entries, for members that compare theirs. Written by the
/// thread that applies, once a batch; read by any.
package final class RunningHashes: Sendable {
    /// Entries that are remembered: some seconds of the fastest puts.
    static let entriesMax = 65_536

    package enum Answer: Hashable, Sendable {
        case hash(RunningHash)
        /// The entry has not been applied here yet.
        case behind
        /// It was applied too long ago, or came as part of a snapshot.
        case forgotten
    }

    private struct Remembered: Sendable {
        var hashes: [RunningHash] = []
        /// The place of the oldest in `hashes`, once that is full.
        var oldest = 0
        /// Of the newest.
        var newestIndex = LogIndex.zero
    }

    private let remembered = Mutex(Remembered())

    package init() {}

    /// - Parameter batch: after entries that follow one another, and follow those of the batch before; what was before
    ///   is forgotten if they do not.
    func note(_ batch: [RunningHash], upTo index: LogIndex) {
        guard !batch.isEmpty else { return }
        remembered.withLock { remembered in
            if remembered.newestIndex.rawValue + UInt64(batch.count) != index.rawValue { remembered = Remembered() }
            for hash in batch.suffix(Self.entriesMax) {
                if remembered.hashes.count < Self.entriesMax {
                    remembered.hashes.append(hash)
                } else {
                    remembered.hashes[remembered.oldest] = hash
                    remembered.oldest = (remembered.oldest + 1) % Self.entriesMax
                }
            }
            remembered.newestIndex = index
        }
    }

    /// The state was replaced by a snapshot.
    func forget(upTo index: LogIndex) {
        remembered.withLock { remembered in
            remembered = Remembered()
            remembered.newestIndex = index
        }
    }

    package func answer(at index: LogIndex) -> Answer {
        remembered.withLock { remembered in
            guard index <= remembered.newestIndex else { return .behind }
            let age = remembered.newestIndex.rawValue - index.rawValue
            guard age < UInt64(remembered.hashes.count) else { return .forgotten }
            let place = remembered.oldest + remembered.hashes.count - 1 - Int(age)
            return .hash(remembered.hashes[place % remembered.hashes.count])
        }
    }

    /// The newest, and the entry after which it was so.
    package var newest: (index: LogIndex, hash: RunningHash)? {
        remembered.withLock { remembered in
            let count = remembered.hashes.count
            guard count > 0 else { return nil }
            return (remembered.newestIndex, remembered.hashes[(remembered.oldest + count - 1) % count])
        }
    }
}
