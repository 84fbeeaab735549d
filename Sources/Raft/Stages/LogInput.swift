package import RaftCore

/// What the log stage is told.
package enum LogInput: Sendable {
    /// Make it durable, and say so. Ids come in order.
    case write(WriteID, Write)
    /// Fill in the entries `first ..< end` of an append that fell out of memory.
    case load(Message, first: LogIndex, end: LogIndex)
    /// Entries up to here are not needed any more.
    case cut(upTo: LogIndex)
}
