/// What a record is about, as the layer above has it. 0 is the log's own.
package struct RecordKind: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package init(_ rawValue: UInt8) { self.rawValue = rawValue }

    /// An empty record in a batch of its own, which proves that all before it had been synchronized. Never replayed.
    static let seal = RecordKind(0)
}

/// Where a record is. Locations are ordered as the records are.
package struct RecordLocation: Hashable, Comparable, Sendable {
    /// The segment's sequence number; the first is 1.
    package var segment: UInt64
    /// Where the record's header begins in the segment's file.
    package var offset: UInt32
    /// How many bytes of payload it has.
    package var byteCount: UInt32

    package init(segment: UInt64, offset: UInt32, byteCount: UInt32) {
        self.segment = segment
        self.offset = offset
        self.byteCount = byteCount
    }

    package static func < (a: Self, b: Self) -> Bool { (a.segment, a.offset) < (b.segment, b.offset) }
}

/// A record that is repeated at the start of every new segment, so that the segments before it can go.
package struct PreambleRecord: Hashable, Sendable {
    package var kind: RecordKind
    package var payload: [UInt8]

    package init(kind: RecordKind, payload: [UInt8]) {
        self.kind = kind
        self.payload = payload
    }
}
