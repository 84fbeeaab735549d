/// Whom a command in the log is for: its first byte. Numbers are on disk and are never reused.
package enum CommandRoom: UInt8, Sendable {
    /// The keys: an `MVCC.CommandCodec` record follows.
    case keyValue = 1
    /// A member tells its name and its client URLs: an encoded ``Member`` follows.
    case memberAttributes = 2
    /// Leases: an `MVCC.LeaseCommandCodec` record follows, in which the leader fills in its lease clock.
    case lease = 3
    /// Alarms: an `MVCC.AlarmCommandCodec` record follows.
    case alarm = 4
}
