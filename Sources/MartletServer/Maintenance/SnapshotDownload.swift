import Digests
package import Foundation
import Platform
import PlatformPOSIX

/// Takes a snapshot as it comes off the wire into a file: under another name until it is whole, its hash was found
/// right and it is on the disk. It takes what any etcd v3 server sends, whatever is in it (M8).
package struct SnapshotDownload {
    private let path: String
    private let part: String
    private let fileSystem = POSIXFileSystem()
    private let file: any File
    private var hash = SHA256()
    /// The last bytes, up to a digest's length: they may be the digest, which is not part of what it sums.
    private var held: [UInt8] = []
    private var byteCount = 0

    package init(to path: String) throws(ConfigurationError) {
        self.path = path
        part = path + ".part"
        do throws(FileError) {
            // What an attempt that was cut off has left.
            if fileSystem.exists(part) { try fileSystem.removeFile(part) }
            file = try fileSystem.open(part, .create)
        } catch {
            throw ConfigurationError("could not open \(part) (\(error.operation) \(error.path): \(error.reason))")
        }
    }

    package mutating func take(_ piece: Data) throws(ConfigurationError) {
        let written: Result<Void, FileError> = piece.withUnsafeBytes { bytes in
            Result { () throws(FileError) in try file.write(bytes, at: byteCount) }
        }
        do throws(FileError) {
            try written.get()
        } catch {
            throw ConfigurationError("\(part) cannot be written: \(error.reason)")
        }
        byteCount += piece.count
        held.append(contentsOf: piece)
        let settled = held.count - SHA256.digestBytes
        guard settled > 0 else { return }
        held.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<settled])) }
        held.removeFirst(settled)
    }

    /// Gives the file its name, if it is whole.
    package func finish() throws(ConfigurationError) {
        do throws(ConfigurationError) {
            guard byteCount % 512 == SHA256.digestBytes else {
                throw ConfigurationError(
                    "the snapshot that arrived has \(byteCount) bytes, and no SHA-256 at its end: it was cut off")
            }
            guard hash.digest == held else {
                throw ConfigurationError(
                    "the snapshot that arrived is damaged: the SHA-256 at its end is not that of its bytes")
            }
            do throws(FileError) {
                try file.synchronize()
                file.close()
                try fileSystem.rename(part, to: path)
                try fileSystem.synchronizeDirectory(Self.directory(of: path))
            } catch {
                throw ConfigurationError("\(path) cannot be written: \(error.operation): \(error.reason)")
            }
        } catch {
            giveUp()
            throw error
        }
    }

    package func giveUp() {
        file.close()
        // Whoever looks at what is left sees by its name that it is none.
        try? fileSystem.removeFile(part)
    }

    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
