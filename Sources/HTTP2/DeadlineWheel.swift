internal import NIOCore

/// The deadlines of all calls of one event loop, in slots of about 16 ms: adding and removing one is a few pointer
/// writes, where a timer of NIO's is an allocation and a place in a heap. A deadline is never early and up to one slot
/// late. While no deadline waits, nothing ticks.
final class DeadlineWheel: @unchecked Sendable {  // used on its event loop only
    static let slotNanoseconds: Int64 = 16_000_000
    private static let slotCount = 1024  // one turn: 16 s; deadlines further away stay for as many turns as they need

    private let eventLoop: any EventLoop
    /// The first stream of each slot. Streams are kept alive by their connection, which removes them before they end.
    private var slots = [Unmanaged<HTTP2Stream>?](repeating: nil, count: slotCount)
    private var waiting = 0
    private var isTicking = false
    /// The last slot that was visited, counted from the beginning of time.
    private var lastSlot: Int64 = 0

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// The stream must not be in the wheel.
    func insert(_ stream: HTTP2Stream, at deadline: NIODeadline) {
        precondition(stream.deadlineSlot < 0, "a stream with two deadlines")
        if waiting == 0, !isTicking {
            lastSlot = Self.slot(eventLoop.now)
            isTicking = true
            scheduleTick()
        }
        // The slot after the one that the deadline is in: when that is reached, the deadline has passed.
        let slot = max(Self.slot(deadline), lastSlot) + 1
        let index = Int(slot % Int64(Self.slotCount))
        stream.deadline = deadline
        stream.deadlineSlot = index
        stream.deadlinePrevious = nil
        stream.deadlineNext = slots[index]
        let entry = Unmanaged.passUnretained(stream)
        slots[index]?._withUnsafeGuaranteedRef { $0.deadlinePrevious = entry }
        slots[index] = entry
        waiting += 1
    }

    func remove(_ stream: HTTP2Stream) {
        guard stream.deadlineSlot >= 0 else { return }
        if let previous = stream.deadlinePrevious {
            previous._withUnsafeGuaranteedRef { $0.deadlineNext = stream.deadlineNext }
        } else {
            slots[stream.deadlineSlot] = stream.deadlineNext
        }
        stream.deadlineNext?._withUnsafeGuaranteedRef { $0.deadlinePrevious = stream.deadlinePrevious }
        stream.deadlineNext = nil
        stream.deadlinePrevious = nil
        stream.deadlineSlot = -1
        waiting -= 1
    }

    private static func slot(_ time: NIODeadline) -> Int64 {
        Int64(clamping: time.uptimeNanoseconds) / slotNanoseconds
    }

    private func scheduleTick() {
        eventLoop.scheduleTask(in: .nanoseconds(Self.slotNanoseconds)) { self.tick() }
    }

    private func tick() {
        let now = eventLoop.now
        let current = Self.slot(now)
        var expired: [HTTP2Stream] = []
        // After a pause of more than a turn, each slot need be looked at only once.
        var slot = max(lastSlot + 1, current - Int64(Self.slotCount) + 1)
        while slot <= current {
            var next = slots[Int(slot % Int64(Self.slotCount))]
            while let entry = next {
                let stream = entry.takeUnretainedValue()
                next = stream.deadlineNext
                if stream.deadline <= now { expired.append(stream) }
            }
            slot += 1
        }
        lastSlot = current
        // Out of the wheel first: what a stream does at its deadline may end others.
        for stream in expired { remove(stream) }
        let coordinator = FlushCoordinator.on(eventLoop)
        coordinator.beginBatch()
        for stream in expired where stream.isOpen { stream.deadlineReached() }
        coordinator.endBatch()
        if waiting > 0 { scheduleTick() } else { isTicking = false }
    }
}
