import Synchronization

/// About how much the engine will grow by what waits in memory: for quotas, on any thread.
package final class GrowthMeter: Sendable {
    package struct Reading: Hashable, Sendable {
        /// What has been written since the last flush began, so that it is in no engine yet.
        package var waitingBytes = 0
        /// What the flush that is under way takes there.
        package var flushingBytes = 0
        /// What was written before may be in the engine already, or not.
        package var isFlushing = false
        /// Goes up when a flush begins and when it ends: two equal readings had none in between.
        package var serial: UInt64 = 0

        package init(waitingBytes: Int = 0, isFlushing: Bool = false, serial: UInt64 = 0) {
            self.waitingBytes = waitingBytes
            self.isFlushing = isFlushing
            self.serial = serial
        }
    }

    private let state = Mutex(Reading())

    package init() {}

    package var reading: Reading { state.withLock { $0 } }

    func note(waitingBytes: UInt64) { state.withLock { $0.waitingBytes = Int(clamping: waitingBytes) } }

    func noteFlush(isFlushing: Bool, waitingBytes: UInt64) {
        state.withLock { reading in
            reading.isFlushing = isFlushing
            reading.flushingBytes = isFlushing ? reading.waitingBytes : 0
            reading.waitingBytes = Int(clamping: waitingBytes)
            reading.serial += 1
        }
    }
}
