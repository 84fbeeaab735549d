internal import NIOCore

/// So many at once, and so many a second.
struct TokenBucket {
    private let capacity: Int
    private let perSecond: Int
    private var tokens: Int
    private var refilled: NIODeadline?

    init(capacity: Int, perSecond: Int) {
        self.capacity = capacity
        self.perSecond = perSecond
        tokens = capacity
    }

    mutating func take(_ count: Int, at now: NIODeadline) -> Bool {
        // The clock matters only when tokens run short.
        if tokens < count {
            let elapsed = refilled.map { (now - $0).nanoseconds } ?? 0
            let new = Int(Double(elapsed) / 1e9 * Double(perSecond))
            if refilled == nil || new > 0 {
                tokens = min(capacity, tokens + new)
                refilled = now
            }
        } else if refilled == nil {
            refilled = now
        }
        guard tokens >= count else { return false }
        tokens -= count
        return true
    }

    mutating func giveBack(_ count: Int) { tokens = min(capacity, tokens + count) }
}
