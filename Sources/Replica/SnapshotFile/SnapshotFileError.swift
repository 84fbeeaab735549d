/// Why a file is not taken for a snapshot. Each reads on after the file's name: "x.db is cut off: ...".
package enum SnapshotFileError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What else it is, where that can be told.
    case foreign(String?)
    case unknownFormat(UInt32)
    /// `of` is nil where not even the header is there.
    case cut(has: UInt64, of: UInt64?)
    case tooLong(has: UInt64, of: UInt64)
    case damaged(at: UInt64, String)
    /// The digest at the file's end is not that of its bytes.
    case wrongDigest
    case unreadable(String)

    package var description: String {
        switch self {
        case .foreign(let what?): "is no snapshot of Martlet's, but \(what)"
        case .foreign(nil): "is no snapshot of Martlet's"
        case .unknownFormat(let version): "is a snapshot in format \(version), of a newer version of Martlet"
        case .cut(let count, let whole?): "is cut off: it has \(count) bytes of \(whole)"
        case .cut(let count, nil): "is cut off: it has \(count) bytes, less than a header"
        case .tooLong(let count, let whole): "has \(count) bytes, where its header says \(whole)"
        case .damaged(let offset, let what): "is damaged: \(what) (at byte \(offset))"
        case .wrongDigest: "is damaged: the SHA-256 at its end is not that of its bytes"
        case .unreadable(let reason): "cannot be read: \(reason)"
        }
    }

    /// What a file is that does not begin as a snapshot does.
    static func kind(of block: [UInt8]) -> String? {
        // bbolt's pages begin with a header of 16 bytes, and the first two are its meta pages, with this mark.
        let boltMark: [UInt8] = [0xed, 0xda, 0x0c, 0xed]
        if block.count >= 20, Array(block[16..<20]) == boltMark {
            return "a database of etcd's (bbolt): etcdutl reads it. To move its data here, start etcd with it and "
                + "copy the keys over (etcdctl make-mirror)"
        }
        return block.isEmpty ? "an empty file" : nil
    }
}
