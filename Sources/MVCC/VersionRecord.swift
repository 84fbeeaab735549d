internal import ByteCodec

/// What the table `versions` holds of one version.
///
///     CRC-32C (4, little-endian) · kind (1) · create revision, version, lease (varints) · value
///
/// The checksum covers the row's key (so the user's key and the change) and everything behind the checksum. A
/// deletion's record ends after its kind.
@safe struct VersionRecord {
    var createRevision: Int64
    var version: Int64
    var lease: Int64
    var value: UnsafeRawBufferPointer

    init(createRevision: Int64, version: Int64, lease: Int64, value: UnsafeRawBufferPointer) {
        self.createRevision = createRevision
        self.version = version
        self.lease = lease
        unsafe self.value = unsafe value
    }

    /// The two kinds differ in every bit, so that no flipped bit makes one of the other: a scan that only counts need
    /// not touch the value for its checksum.
    static let live: UInt8 = 0x3c
    static let deletion: UInt8 = 0xc3
    static let kindOffset = 4

    static let deletionCount = kindOffset + 1

    /// How many bytes a live record takes.
    static func count(createRevision: Int64, version: Int64, lease: Int64, valueCount: Int) -> Int {
        kindOffset + 1 + varintLength(UInt64(bitPattern: createRevision)) + varintLength(UInt64(bitPattern: version))
            + varintLength(UInt64(bitPattern: lease)) + valueCount
    }

    /// Writes a live record for the row with this key.
    func store(row: UnsafeRawBufferPointer, at start: UnsafeMutableRawPointer) {
        unsafe start.storeBytes(of: Self.live, toByteOffset: Self.kindOffset, as: UInt8.self)
        var end = unsafe storeVarint(UInt64(bitPattern: createRevision), at: start + Self.kindOffset + 1)
        unsafe end = unsafe storeVarint(UInt64(bitPattern: version), at: end)
        unsafe end = unsafe storeVarint(UInt64(bitPattern: lease), at: end)
        unsafe end = unsafe MVCC.store(value, at: end)
        unsafe Self.seal(start, count: end - start, row)
    }

    static func storeDeletion(row: UnsafeRawBufferPointer, at start: UnsafeMutableRawPointer) {
        unsafe start.storeBytes(of: deletion, toByteOffset: kindOffset, as: UInt8.self)
        unsafe seal(start, count: deletionCount, row)
    }

    private static func seal(_ start: UnsafeMutableRawPointer, count: Int, _ row: UnsafeRawBufferPointer) {
        let body = unsafe UnsafeRawBufferPointer(start: start + kindOffset, count: count - kindOffset)
        unsafe start.storeBytes(of: checksum(row: row, body: body).littleEndian, as: UInt32.self)
    }

    private static func checksum(row: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer) -> UInt32 {
        var sum = CRC32C()
        unsafe sum.update(row)
        unsafe sum.update(body)
        return sum.value
    }

    /// Whether the record is a deletion's. Says so of a deletion only after its checksum was found right.
    static func isDeletion(
        row: UnsafeRawBufferPointer, _ record: UnsafeRawBufferPointer
    ) throws(StateError) -> Bool {
        guard record.count > kindOffset else { throw unsafe damaged(row, "it ends early") }
        switch unsafe record[kindOffset] {
        case live: return false
        case deletion:
            try unsafe verify(row: row, record)
            guard record.count == kindOffset + 1 else { throw unsafe damaged(row, "a deletion with a content") }
            return true
        default: throw unsafe damaged(row, unsafe "kind \(record[kindOffset])")
        }
    }

    static func verify(row: UnsafeRawBufferPointer, _ record: UnsafeRawBufferPointer) throws(StateError) {
        guard record.count > kindOffset else { throw unsafe damaged(row, "it ends early") }
        let stored = unsafe UInt32(littleEndian: record.loadUnaligned(as: UInt32.self))
        guard unsafe checksum(row: row, body: UnsafeRawBufferPointer(rebasing: record[kindOffset...])) == stored else {
            throw unsafe damaged(row, "its checksum is wrong")
        }
    }

    /// A live record's content, after its checksum was found right.
    init(row: UnsafeRawBufferPointer, _ record: UnsafeRawBufferPointer) throws(StateError) {
        try unsafe Self.verify(row: row, record)
        guard record.count > Self.kindOffset, unsafe record[Self.kindOffset] == Self.live else {
            throw unsafe Self.damaged(row, "no live record")
        }
        var reader = unsafe ByteReader(UnsafeRawBufferPointer(rebasing: record[(Self.kindOffset + 1)...]))
        do throws(DecodingError) {
            createRevision = Int64(bitPattern: try reader.readVarint())
            version = Int64(bitPattern: try reader.readVarint())
            lease = Int64(bitPattern: try reader.readVarint())
            unsafe value = try unsafe reader.readBytes(reader.remaining)
        } catch {
            throw unsafe Self.damaged(row, "\(error)")
        }
    }

    static func damaged(_ row: UnsafeRawBufferPointer, _ what: String) -> StateError {
        .corrupt(unsafe "versions: the record of row \(hex(row)): \(what)")
    }
}
