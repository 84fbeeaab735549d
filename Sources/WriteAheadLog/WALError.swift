package import Platform

/// What can go wrong with the log. Every case but ``recordTooLarge(bytes:limit:)``, ``batchFull(limit:)`` and
/// ``notFound(_:)`` is a reason to stop the member: nothing here is repaired silently.
package enum WALError: Error, Equatable, Sendable {
    /// Bytes that were durable once are not what was written.
    case corrupt(segment: UInt64, offset: Int, reason: String)
    /// The segment belongs to another cluster or member.
    case foreign(segment: UInt64, expected: [UInt8], found: [UInt8])
    /// There are segments before and after this one, and it is not there.
    case missingSegment(UInt64)
    /// A whole and valid segment header of a version that this program cannot read.
    case unsupportedVersion(segment: UInt64, version: UInt32)
    /// The disk failed. After that the log is poisoned.
    case io(FileError)
    /// An earlier call failed. What the disk holds is unknown (a second fsync may succeed without the data), so nothing
    /// more is written: open the log again, best after a restart.
    case poisoned
    case recordTooLarge(bytes: Int, limit: Int)
    /// So much waits for ``WriteAheadLog/synchronize()`` that no more may be appended before it.
    case batchFull(limit: Int)
    /// No durable record is at this place: it was cut, or was never synchronized.
    case notFound(RecordLocation)
    /// The replay closure refused a record: its checksums hold and its content makes no sense.
    case rejected(RecordLocation, reason: String)
}

extension WALError: CustomStringConvertible {
    /// In an operator's words: this ends up in the log and in what the member says last.
    package var description: String {
        switch self {
        case .corrupt(let segment, let offset, let reason): "segment \(segment) is damaged at \(offset): \(reason)"
        case .foreign(let segment, _, _): "segment \(segment) belongs to another member or cluster"
        case .missingSegment(let segment): "segment \(segment) is missing"
        case .unsupportedVersion(let segment, let version):
            "segment \(segment) is in format \(version), which this version cannot read"
        case .io(let error): "\(error)"
        case .poisoned: "an earlier write failed, and what the disk holds is unknown"
        case .recordTooLarge(let bytes, let limit): "a record of \(bytes) bytes, where \(limit) are the most"
        case .batchFull(let limit): "more than \(limit) bytes wait to be written"
        case .notFound(let location): "no record is at \(location.offset) of segment \(location.segment)"
        case .rejected(let location, let reason):
            "the record at \(location.offset) of segment \(location.segment) makes no sense: \(reason)"
        }
    }
}
