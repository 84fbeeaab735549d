package import Platform

/// The only thing that moves in the simulated world: events at virtual times, taken one after another. Two events at
/// the same time happen in the order in which they were put in, so that one seed gives one run.
package final class EventQueue {
    /// What the heap moves about: plain numbers. Moving the actions themselves would count references all the way.
    private struct Event {
        var time: UInt64
        var order: UInt64
        var slot: Int
    }

    package private(set) var now: UInt64 = 1
    /// How many events have happened.
    package private(set) var steps = 0
    /// A play that has not ended by then goes round in circles.
    package let stepsMax = 3_000_000
    package var random: RandomSource
    private var heap: [Event] = []
    private var actions: [(() -> Void)?] = []
    private var freeSlots: [Int] = []
    private var nextOrder: UInt64 = 0

    package init(seed: UInt64) { random = RandomSource(seed: seed) }

    package var isEmpty: Bool { heap.isEmpty }

    package func schedule(after delay: UInt64, _ action: @escaping () -> Void) {
        schedule(at: now &+ delay, action)
    }

    package func schedule(at time: UInt64, _ action: @escaping () -> Void) {
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            actions[slot] = action
        } else {
            slot = actions.count
            actions.append(action)
        }
        heap.append(Event(time: max(time, now), order: nextOrder, slot: slot))
        nextOrder += 1
        siftUp(heap.count - 1)
    }

    /// Lets events happen until `time`; then that is the time.
    package func run(until time: UInt64) {
        while let next = heap.first, next.time <= time, steps < stepsMax { step() }
        now = max(now, time)
    }

    /// Lets the next event happen; false if there is none.
    @discardableResult
    package func step() -> Bool {
        guard let next = heap.first else { return false }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            siftDown(0)
        }
        now = max(now, next.time)
        steps += 1
        let action = actions[next.slot]
        actions[next.slot] = nil
        freeSlots.append(next.slot)
        action?()
        return true
    }

    private func precedes(_ a: Int, _ b: Int) -> Bool {
        (heap[a].time, heap[a].order) < (heap[b].time, heap[b].order)
    }

    private func siftUp(_ start: Int) {
        var place = start
        while place > 0 {
            let parent = (place - 1) / 2
            guard precedes(place, parent) else { return }
            heap.swapAt(place, parent)
            place = parent
        }
    }

    private func siftDown(_ start: Int) {
        var place = start
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < heap.count && precedes(child, least) {
                least = child
            }
            guard least != place else { return }
            heap.swapAt(place, least)
            place = least
        }
    }
}
