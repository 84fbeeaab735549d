import MVCC
import Replica
import Synchronization

/// How much room there is below the quota (M1), by what was measured last and by what was let in since.
///
/// Measured is what the engine's file has in use, without its free pages, and what waits in memory to get there. LMDB
/// uses free pages again, so what was deleted and compacted is room, whether or not the file ever shrinks.
final class SpaceQuota: Sendable {
    /// What etcd counts for a put beside its key and value.
    static let putOverheadBytes = 256
    /// What etcd counts for a lease.
    static let leaseBytes = 64

    /// nil: there is no limit.
    let bytesMax: Int?
    /// All that was let in since the start.
    private let admitted = Atomic<Int>(0)
    /// What was in use at the last measurement, less what had been let in until then.
    private let base = Atomic<Int>(0)
    private let isRaising = Atomic<Bool>(false)
    private let last = Mutex(Measured())

    private struct Measured: Sendable {
        var usedBytes = 0
        /// Between two flushes what waits and what the engine has are known to be two things.
        var usedBetweenFlushes = 0
    }

    init(bytesMax: Int?) { self.bytesMax = bytesMax }

    /// What a transaction may let the state grow by: by its greater branch.
    static func growth(of transaction: Transaction) -> Int {
        func growth(_ operations: [Operation]) -> Int {
            operations.reduce(0) { sum, operation in
                switch operation {
                case .put(let put): sum + putOverheadBytes + put.key.count + put.value.count
                case .transaction(let nested): sum + self.growth(of: nested)
                case .range, .delete, .empty: sum
                }
            }
        }
        return max(growth(transaction.success), growth(transaction.failure))
    }

    /// Whether so much may be added. On any thread.
    func admits(_ growth: Int) -> Bool {
        guard let bytesMax else { return true }
        let used = base.load(ordering: .relaxed) &+ admitted.load(ordering: .relaxed)
        guard used &+ growth < bytesMax else { return false }
        admitted.wrappingAdd(growth, ordering: .relaxed)
        return true
    }

    var admittedBytes: Int { admitted.load(ordering: .relaxed) }

    /// - Parameters:
    ///   - engineBytes: what the engine has in use.
    ///   - growth: what waits for it.
    ///   - admittedBytes: ``admittedBytes`` as it was before the other two were looked up.
    func measured(engineBytes: Int, growth: GrowthMeter.Reading, admittedBytes: Int) {
        last.withLock { last in
            last.usedBytes = engineBytes + growth.waitingBytes
            if growth.isFlushing {
                // The batch on its way is in the engine already, or not.
                last.usedBytes = max(last.usedBytes, last.usedBetweenFlushes)
            } else {
                last.usedBetweenFlushes = last.usedBytes
            }
            base.store(last.usedBytes &- admittedBytes, ordering: .relaxed)
        }
    }

    /// By the last measurement.
    var isFull: Bool {
        guard let bytesMax else { return false }
        return last.withLock { $0.usedBytes } >= bytesMax
    }

    // MARK: One alarm at a time

    func beginRaising() -> Bool { !isRaising.exchange(true, ordering: .relaxed) }
    func endRaising() { isRaising.store(false, ordering: .relaxed) }
}
