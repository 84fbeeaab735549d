/// A member of the cluster, as consensus knows it. Zero names nobody.
public struct NodeID: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

extension NodeID: ExpressibleByIntegerLiteral {
    @inlinable public init(integerLiteral value: UInt64) { self.init(rawValue: value) }
}

extension NodeID: CustomStringConvertible {
    public var description: String { String(rawValue) }
}

/// An election's number (§5.1): the logical clock that tells old messages from new ones.
public struct Term: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64
    public static let zero = Term(rawValue: 0)
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public var next: Term { Term(rawValue: rawValue + 1) }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A place in the log. The first entry has index 1; zero is the place before it.
public struct LogIndex: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64
    public static let zero = LogIndex(rawValue: 0)
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public var next: LogIndex { LogIndex(rawValue: rawValue + 1) }
    /// The place before this one; zero's is zero.
    @inlinable public var previous: LogIndex { LogIndex(rawValue: rawValue == 0 ? 0 : rawValue - 1) }
    @inlinable public func advanced(by count: Int) -> LogIndex { LogIndex(rawValue: rawValue + UInt64(count)) }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// One durable write that the core asked for. Ids grow by one per write of one core, and are acknowledged in that
/// order: an id, never an (index, term) pair, says what is durable, so that an overwritten entry's late
/// acknowledgement cannot be taken for its successor's.
public struct WriteID: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64
    public static let zero = WriteID(rawValue: 0)
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public var next: WriteID { WriteID(rawValue: rawValue + 1) }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A read request that waits for its read index. The caller chooses it; it is unique among this node's open reads.
public struct ReadID: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
}
