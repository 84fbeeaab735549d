package import Platform

/// The only thing that moves in the simulated world: events at virtual times, taken one after another. Two events at
/// the same time happen in the order in which they were put in, so that one seed gives one run.
package final class EventQueue {
    package private(set) var now: UInt64 = 1
    /// How many events have happened.
    package private(set) var steps = 0
    /// A play that has not ended by then goes round in circles.
    package let stepsMax = 3_000_000
    package var random: RandomSource
    private var heap = EventHeap()
    private var actions: [(() -> Void)?] = []
    private var freeSlots: [Int] = []
    private var nextOrder: UInt64 = 0

    package init(seed: UInt64) { random = RandomSource(seed: seed) }

    package var isEmpty: Bool { heap.first == nil }

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
        heap.push(EventHeap.Event(time: max(time, now), order: nextOrder, slot: slot))
        nextOrder += 1
    }

    /// Forgets what has not happened yet, and with it everybody whom it would have happened to.
    package func removeAll() {
        heap = EventHeap()
        actions = []
        freeSlots = []
    }

    /// Lets events happen until `time`; then that is the time.
    package func run(until time: UInt64) {
        while let next = heap.first, next.time <= time, steps < stepsMax { step() }
        now = max(now, time)
    }

    /// Lets the next event happen; false if there is none.
    @discardableResult
    package func step() -> Bool {
        guard let next = heap.pop() else { return false }
        now = max(now, next.time)
        steps += 1
        var action: (() -> Void)?
        swap(&action, &actions[next.slot])
        freeSlots.append(next.slot)
        action?()
        return true
    }
}

/// The events to come, the next one first.
private struct EventHeap {
    /// What the heap moves about: plain numbers. Moving the actions themselves would count references all the way.
    struct Event {
        var time: UInt64
        var order: UInt64
        var slot: Int

        func precedes(_ other: Event) -> Bool {
            time != other.time ? time < other.time : order < other.order
        }
    }

    private var events: [Event] = []

    var first: Event? { events.first }

    mutating func push(_ event: Event) {
        events.append(event)
        var place = events.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            guard event.precedes(events[parent]) else { break }
            events[place] = events[parent]
            place = parent
        }
        events[place] = event
    }

    mutating func pop() -> Event? {
        guard let next = events.first, let last = events.popLast() else { return nil }
        let count = events.count
        guard count > 0 else { return next }
        var place = 0
        while true {
            var child = 2 * place + 1
            guard child < count else { break }
            if child + 1 < count, events[child + 1].precedes(events[child]) { child += 1 }
            guard events[child].precedes(last) else { break }
            events[place] = events[child]
            place = child
        }
        events[place] = last
        return next
    }
}
