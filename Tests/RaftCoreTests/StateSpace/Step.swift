/// One thing that can happen, to one member. Time is not in it: an election timeout is a step like any other, so that
/// neither clocks nor their jitter matter.
struct Step: Hashable, Sendable {
    enum Kind: UInt8, Sendable {
        /// A message arrives; `argument` is its number.
        case deliver
        /// The election timeout passes.
        case timeout
        /// One tick of the clock.
        case tick
        case propose
        case change
        case read
        /// Leadership is to go to member `argument`.
        case transfer
        /// The oldest `argument` writes are durable, and reported so, as one.
        case persist
        /// The oldest `argument` writes got to the disk, the rest is lost; what the member knew is gone. It starts
        /// again at once (to be down is to take no step), with its state as old as the log allows.
        case crash
        /// The same, and the state is as new as it was.
        case crashKeepingState
        /// One entry is applied.
        case apply
        /// The log is cut up to the applied index.
        case compact
        /// The snapshot for member `argument` is reported to have arrived, or failed.
        case snapshotArrived, snapshotFailed
    }

    var kind: Kind
    /// Its place among the members, from zero.
    var member: Int
    var argument: UInt32 = 0

    /// What it is to the member alone.
    var code: UInt64 { UInt64(argument) << 8 | UInt64(kind.rawValue) }
}
