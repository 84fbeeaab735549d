/// How a log is kept.
package struct WALOptions: Sendable {
    /// Whose log this is: cluster id and member id, 16 to 64 bytes. A log with another identity is not opened.
    package var identity: [UInt8]
    /// A number that clients cannot guess. It seeds the checksums of new segments, so that a value which a client chose
    /// cannot pass for a record when a damaged tail is searched. Need not be the same at every open.
    package var salt: UInt64
    /// When a segment has grown to this size the next is begun. One record larger than this gets a segment that is
    /// larger.
    package var segmentBytes = 64 << 20
    /// How much is filled with zeros at a time.
    package var fillSliceBytes = 1 << 20
    /// Where the next segment is filled. Without it, one slice is filled by every ``WriteAheadLog/synchronize()``
    /// after the current segment is half full, which is what a simulation wants; with a thread the log's own never
    /// waits for it.
    package var runInBackground: (@Sendable (_ work: @escaping @Sendable () -> Void) -> Void)?
    package var limits = Limits()

    package struct Limits: Sendable {
        /// The longest payload of one record.
        package var recordBytesMax = 64 << 20
        /// The most that may wait for one synchronize, headers included.
        package var batchBytesMax = 256 << 20
        /// Memory that is kept for the next batch after a large one.
        package var keptBufferBytesMax = 8 << 20
        /// Files of older segments that are kept open for readers.
        package var openSegmentsMax = 16

        package init() {}
    }

    package init(identity: [UInt8], salt: UInt64 = 0) {
        self.identity = identity
        self.salt = salt
    }

    func check() {
        precondition((16...64).contains(identity.count), "an identity of \(identity.count) bytes")
        let bytes = SegmentFormat.headerBytes + 512...SegmentFormat.segmentBytesMax
        precondition(bytes.contains(segmentBytes), "segments of \(segmentBytes) bytes")
        precondition(fillSliceBytes > 0, "fill slices of \(fillSliceBytes) bytes")
        precondition(limits.recordBytesMax <= 1 << 30, "records of \(limits.recordBytesMax) bytes")
        precondition(limits.openSegmentsMax > 0, "no segment may be open")
    }
}

/// What was found when a log was opened.
package struct OpenReport: Equatable, Sendable {
    /// There was no log yet.
    package var isNew: Bool
    package var firstSegment: UInt64
    /// The log's end: the next batch begins here.
    package var segment: UInt64
    package var offset: Int
    /// Records that were replayed, and their payload bytes.
    package var recordsRead: Int
    package var bytesRead: Int
    /// Bytes at (segment, offset) that a batch which was being written when the power went had left, and that were
    /// zeroed. Nothing in them had been acknowledged, or else the last batch before them was damaged on the disk
    /// later, which cannot be told apart: whoever knows how far the log had come (a Raft leader, the engine's applied
    /// index) must compare.
    package var tornTailBytesCut: Int
    /// The log had been closed in order: its last batch is proven to have been whole.
    package var wasSealed: Bool

    package init(
        isNew: Bool = false, firstSegment: UInt64 = 1, segment: UInt64 = 1, offset: Int = 0, recordsRead: Int = 0,
        bytesRead: Int = 0, tornTailBytesCut: Int = 0, wasSealed: Bool = false
    ) {
        self.isNew = isNew
        self.firstSegment = firstSegment
        self.segment = segment
        self.offset = offset
        self.recordsRead = recordsRead
        self.bytesRead = bytesRead
        self.tornTailBytesCut = tornTailBytesCut
        self.wasSealed = wasSealed
    }
}
