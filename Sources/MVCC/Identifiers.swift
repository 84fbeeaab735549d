/// A place in the history of the whole store: every command that changes something adds one. The first is 1, the
/// revision of the empty store.
package struct Revision: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: Int64
    @inlinable package init(rawValue: Int64) { self.rawValue = rawValue }
    @inlinable package init(_ rawValue: Int64) { self.rawValue = rawValue }
    /// The revision of a store that nothing was written to.
    package static let first = Revision(1)
    /// What a compaction revision reads before the first compaction.
    package static let neverCompacted = Revision(-1)
    /// In a query: the newest. Zero and below mean the same there.
    package static let latest = Revision(0)
    @inlinable package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// The name of a lease; zero is none.
package struct LeaseID: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: Int64
    @inlinable package init(rawValue: Int64) { self.rawValue = rawValue }
    @inlinable package init(_ rawValue: Int64) { self.rawValue = rawValue }
    package static let none = LeaseID(0)
    @inlinable package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// One change: the revision that it belongs to, and its number among that revision's changes, from zero.
package struct ChangeID: Hashable, Comparable, Sendable {
    package var revision: Revision
    package var number: UInt32
    package init(revision: Revision, number: UInt32) {
        self.revision = revision
        self.number = number
    }
    package static func < (a: Self, b: Self) -> Bool {
        (a.revision.rawValue, a.number) < (b.revision.rawValue, b.number)
    }
}

/// A place in the replicated log, as the state notes it.
package struct LogPosition: Hashable, Sendable {
    package var index: UInt64
    package var term: UInt64
    package init(index: UInt64, term: UInt64) {
        self.index = index
        self.term = term
    }
    package static let zero = LogPosition(index: 0, term: 0)
}
