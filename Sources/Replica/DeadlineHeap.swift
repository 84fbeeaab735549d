import MVCC

/// Leases by deadline, the earliest first; of equal ones, the least id. A binary heap.
///
/// It holds a lease's deadline as of when it was put in: whoever takes one out looks whether it has moved meanwhile, so
/// that a renewal costs nothing here.
struct DeadlineHeap {
    private var ends: [LeaseEnd] = []

    var count: Int { ends.count }
    var first: LeaseEnd? { ends.first }

    init() {}

    /// In one go: cheaper than one after the other.
    init(_ ends: [LeaseEnd]) {
        self.ends = ends
        var place = ends.count / 2
        while place > 0 {
            place -= 1
            sink(place)
        }
    }

    mutating func push(_ end: LeaseEnd) {
        ends.append(end)
        var place = ends.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            guard Self.isEarlier(ends[place], ends[parent]) else { return }
            ends.swapAt(place, parent)
            place = parent
        }
    }

    mutating func pop() -> LeaseEnd? {
        guard let last = ends.popLast() else { return nil }
        guard let first = ends.first else { return last }
        ends[0] = last
        sink(0)
        return first
    }

    private mutating func sink(_ start: Int) {
        var place = start
        while true {
            var least = place
            let (left, right) = (2 * place + 1, 2 * place + 2)
            if left < ends.count, Self.isEarlier(ends[left], ends[least]) { least = left }
            if right < ends.count, Self.isEarlier(ends[right], ends[least]) { least = right }
            if least == place { return }
            ends.swapAt(place, least)
            place = least
        }
    }

    private static func isEarlier(_ a: LeaseEnd, _ b: LeaseEnd) -> Bool {
        (a.deadline, a.id) < (b.deadline, b.id)
    }
}
