/// Names a data directory: drawn by chance when it is made, and kept in it. A member that comes back with another one
/// has lost its memory.
package struct DirectoryID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    package var description: String { String(rawValue, radix: 16) }
}

/// What a member makes of the data directory that another names.
package enum DirectoryRecognition: Hashable, Sendable {
    /// The one that it has always named; it is remembered durably from now on.
    case known
    /// It has named another before.
    case another
    /// It could not be remembered: nothing may be taken from it yet.
    case unknown(reason: String)
}
