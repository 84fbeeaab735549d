import ByteCodec
import Digests
package import MVCC
import StorageEngine

/// What stands at the front of a snapshot file: what is in it, and how large it is
/// (Documentation/formats/snapshot-file.md).
package struct SnapshotFileHeader: Hashable, Sendable {
    package static let magic = Array("martlet snapshot".utf8)
    /// What is written: chunks of rows may be compressed. Files of format 1, whose chunks are not, are read too.
    package static let formatVersion: UInt32 = 2
    /// etcd's clients take a snapshot only if its size is a multiple of this, and the digest's 32 bytes (M8).
    package static let blockBytes = 512
    private static let versionBytesMax = 63
    private static let checksumOffset = 20

    package private(set) var format = Self.formatVersion
    /// All chunks together.
    package var chunkBytes: UInt64
    package var rowCount: UInt64
    /// Keys that are there at `revision`.
    package var keyCount: UInt64
    package var clusterID: UInt64
    /// Of whom the snapshot was taken.
    package var memberID: UInt64
    package var revision: Revision
    package var compactRevision: Revision
    package var applied: LogPosition
    package var leaseClock: LeaseTime
    /// The version of the program that wrote it.
    package var writer: String

    /// The whole file, but for its digest.
    package var contentBytes: UInt64 {
        let block = UInt64(Self.blockBytes)
        return block + (chunkBytes + block - 1) / block * block
    }

    package var fileBytes: UInt64 { contentBytes + UInt64(SHA256.digestBytes) }

    func encode() -> [UInt8] {
        var bytes = ByteWriter(reservingCapacity: Self.blockBytes)
        bytes.write(Self.magic)
        bytes.write(format)
        bytes.write(UInt32(0))
        for number in [
            chunkBytes, rowCount, keyCount, clusterID, memberID, UInt64(bitPattern: revision.rawValue),
            UInt64(bitPattern: compactRevision.rawValue), applied.index, applied.term, leaseClock.rawValue,
        ] { bytes.write(number) }
        let version = Array(writer.utf8.prefix(Self.versionBytesMax))
        bytes.write(UInt8(version.count))
        bytes.write(version)
        while bytes.count < Self.blockBytes { bytes.write(UInt8(0)) }
        bytes.replace(at: Self.checksumOffset, with: CRC32C.checksum(bytes.bytes))
        return bytes.finish()
    }

    /// - Parameter block: the file's first bytes, as many as a header has.
    init(decoding block: [UInt8]) throws(SnapshotFileError) {
        guard block.starts(with: Self.magic) else { throw .foreign(SnapshotFileError.kind(of: block)) }
        guard block.count == Self.blockBytes else { throw .cut(has: UInt64(block.count), of: nil) }
        let format = (0..<4).reduce(UInt32(0)) { $0 | UInt32(block[16 + $1]) << (8 * UInt32($1)) }
        guard format >= 1, format <= Self.formatVersion else { throw .unknownFormat(format) }
        var unsummed = block
        unsummed.replaceSubrange(Self.checksumOffset..<Self.checksumOffset + 4, with: [0, 0, 0, 0])
        do {
            self = try block.withUnsafeBytes { raw in
                var reader = ByteReader(raw)
                _ = try reader.readBytes(Self.checksumOffset)
                guard try reader.readUInt32() == CRC32C.checksum(unsummed) else {
                    throw SnapshotFileError.damaged(at: 0, "the checksum of its header is wrong")
                }
                return try Self(&reader)
            }
        } catch let error as SnapshotFileError {
            throw error
        } catch {
            throw .damaged(at: 0, "its header cannot be read")
        }
        self.format = format
        let sizeMax = UInt64(Int.max / 2)
        guard chunkBytes <= sizeMax, revision >= .first, revision.rawValue <= Int64.max - State.bumpMax,
            compactRevision >= .neverCompacted, compactRevision <= revision
        else { throw .damaged(at: 0, "its header contradicts itself") }
    }

    private init(_ reader: inout ByteReader) throws(DecodingError) {
        chunkBytes = try reader.readUInt64()
        rowCount = try reader.readUInt64()
        keyCount = try reader.readUInt64()
        clusterID = try reader.readUInt64()
        memberID = try reader.readUInt64()
        revision = Revision(Int64(bitPattern: try reader.readUInt64()))
        compactRevision = Revision(Int64(bitPattern: try reader.readUInt64()))
        applied = LogPosition(index: try reader.readUInt64(), term: try reader.readUInt64())
        leaseClock = LeaseTime(try reader.readUInt64())
        let count = Int(try reader.readByte())
        writer = String(decoding: try reader.readBytes(count), as: UTF8.self)
    }

    init(
        format: UInt32, chunkBytes: UInt64, rowCount: UInt64, keyCount: UInt64, clusterID: UInt64, memberID: UInt64,
        view: ReadView, writer: String
    ) {
        self.format = format
        self.chunkBytes = chunkBytes
        self.rowCount = rowCount
        self.keyCount = keyCount
        self.clusterID = clusterID
        self.memberID = memberID
        revision = view.revision
        compactRevision = view.compactRevision
        applied = view.applied
        leaseClock = view.leaseClock
        self.writer = writer
    }
}
