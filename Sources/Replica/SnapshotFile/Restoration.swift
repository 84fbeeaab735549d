import ByteCodec
import Digests
package import MVCC

/// That a cluster was made of a snapshot, and of which: a row of the table `meta` (`restored`).
package struct Restoration: Hashable, Sendable {
    /// How far revisions can be moved on at a time.
    package static let bumpMax = State.bumpMax

    /// What the cluster's id would be by its first members and their token alone: what the flags of its members say.
    package var initialClusterID: UInt64
    /// The cluster that the snapshot was taken of.
    package var formerClusterID: UInt64
    /// Of the snapshot.
    package var revision: Revision
    /// How far revisions were moved on.
    package var bump: Int64
    /// SHA-256 of the snapshot.
    package var digest: [UInt8]

    package init(
        initialClusterID: UInt64, formerClusterID: UInt64, revision: Revision, bump: Int64, digest: [UInt8]
    ) {
        self.initialClusterID = initialClusterID
        self.formerClusterID = formerClusterID
        self.revision = revision
        self.bump = bump
        self.digest = digest
    }

    /// The cluster's id. It rests on the snapshot and on the bump too: members that were restored from another file, or
    /// otherwise, and members that start with nothing under the same flags, belong to another cluster, and the members
    /// of this one do not talk to them. With one id for all they would elect each other, and differ for good.
    package var clusterID: UInt64 {
        let id = SHA256.hash(encode()).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        return id == 0 ? 1 : id
    }

    func encode() -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: 64)
        writer.write(initialClusterID)
        writer.write(formerClusterID)
        writer.write(UInt64(bitPattern: revision.rawValue))
        writer.write(UInt64(bitPattern: bump))
        writer.write(digest)
        return writer.finish()
    }

    init(decoding bytes: [UInt8]) throws(DecodingError) {
        do {
            self = try bytes.withUnsafeBytes { raw in
                var reader = ByteReader(raw)
                let restoration = Restoration(
                    initialClusterID: try reader.readUInt64(), formerClusterID: try reader.readUInt64(),
                    revision: Revision(Int64(bitPattern: try reader.readUInt64())),
                    bump: Int64(bitPattern: try reader.readUInt64()),
                    digest: Array(try reader.readBytes(SHA256.digestBytes)))
                try reader.expectEnd()
                return restoration
            }
        } catch let error as DecodingError {
            throw error
        } catch {
            throw .invalid("\(error)")
        }
    }
}
