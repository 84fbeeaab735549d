/// A lease that is in force.
package struct Lease: Hashable, Sendable {
    package var id: LeaseID
    /// What was granted, in seconds.
    package var ttl: Int64
    /// When it ends, unless it is renewed before.
    package var deadline: LeaseTime

    package init(id: LeaseID, ttl: Int64, deadline: LeaseTime) {
        self.id = id
        self.ttl = ttl
        self.deadline = deadline
    }

    /// The longest time that can be granted, in seconds: etcd's (L1).
    package static let ttlMax: Int64 = 9_000_000_000
}

/// A moment of the cluster's lease clock, in milliseconds: it goes as time goes while somebody leads, stands still
/// while nobody does, and never goes back (decision 0014).
package struct LeaseTime: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static let zero = LeaseTime(0)
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    /// The last moment that there is stands for all after it: no number in a log can make a member overflow.
    package func advanced(milliseconds: UInt64) -> LeaseTime {
        let (sum, hasOverflown) = rawValue.addingReportingOverflow(milliseconds)
        return LeaseTime(hasOverflown ? .max : sum)
    }

    package func advanced(seconds: Int64) -> LeaseTime { advanced(milliseconds: UInt64(max(0, seconds)) * 1_000) }

    /// How long after `earlier` this is; zero if it is not.
    package func milliseconds(since earlier: LeaseTime) -> UInt64 {
        rawValue > earlier.rawValue ? rawValue - earlier.rawValue : 0
    }
}

/// Which leases there are, in memory, for the thread that applies: what the lease rows of the table `leases` say.
///
/// Nothing may depend on the order in which it can be walked, which differs from process to process.
struct LeaseDirectory: Sendable {
    private struct Terms {
        var ttl: Int64
        var deadline: LeaseTime
    }

    private var leases: [LeaseID: Terms] = [:]

    var isEmpty: Bool { leases.isEmpty }
    var count: Int { leases.count }

    func contains(_ id: LeaseID) -> Bool { leases[id] != nil }

    subscript(_ id: LeaseID) -> Lease? {
        leases[id].map { Lease(id: id, ttl: $0.ttl, deadline: $0.deadline) }
    }

    mutating func set(_ lease: Lease) { leases[lease.id] = Terms(ttl: lease.ttl, deadline: lease.deadline) }
    mutating func remove(_ id: LeaseID) { leases[id] = nil }

    /// All of them, in no order.
    func forEach(_ body: (Lease) -> Void) {
        for (id, terms) in leases { body(Lease(id: id, ttl: terms.ttl, deadline: terms.deadline)) }
    }
}
