public import RaftCore

/// What a cluster replicates: yours to bring.
///
/// Every member has one and feeds it the same commands in the same order, so that all of them come to the same state.
/// That holds only if ``apply(_:at:)`` is **deterministic**: it may look at the command, the index and the state, and
/// at nothing else (no clock, no random numbers, no order of a `Dictionary` or `Set`, no files that differ). What must
/// vary, such as the time, goes into the command before it is proposed.
///
/// A `struct` is the natural shape. Its methods are called one at a time, never at once, and not on the thread that
/// talks to other members: a slow ``apply(_:at:)`` delays answers, not elections.
public protocol StateMachine: SendableMetatype {
    /// What the one who proposed a command gets back for it.
    associatedtype Response: Sendable

    /// Carries out one committed command.
    ///
    /// To refuse a command, throw ``CommandRejected`` and leave the state as it was: the proposer gets
    /// ``RaftError/rejected(_:)``, on every member the state stays the same, and the cluster goes on. Any other error
    /// says that this member's state cannot be trusted any more: the member stops with
    /// ``RaftFailure/Part/stateMachine``, and the others go on.
    ///
    /// - Parameters:
    ///   - command: the bytes that were proposed.
    ///   - index: the command's place in the log. It grows with every call, with gaps.
    mutating func apply(_ command: [UInt8], at index: LogIndex) throws -> Response

    /// The state as it is now, to be written out later, on another thread, while commands go on being applied.
    ///
    /// So this is the time to take hold of the state, not to encode it: a `struct` whose storage is an `Array` or a
    /// `Dictionary` copies it into the closure for nothing (the next change then copies the storage, once).
    func snapshot() throws -> StateSnapshot

    /// Replaces the whole state by what a ``snapshot()`` has written, on this member or on another.
    mutating func restore(from snapshot: SnapshotReader) throws
}

/// Thrown by ``StateMachine/apply(_:at:)`` to refuse a command without harm: everywhere alike, with nothing changed.
public struct CommandRejected: Error, Hashable, Sendable, CustomStringConvertible {
    public var reason: String
    public init(_ reason: String) { self.reason = reason }
    public var description: String { reason }
}
