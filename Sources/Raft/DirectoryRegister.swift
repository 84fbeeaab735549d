import ByteCodec
package import PeerTransport
package import Platform
package import RaftCore
import Synchronization

/// The file of a ``DirectoryRegister`` is not as it was written. It cannot be made anew: nobody would recognise the
/// members that it named.
package struct DirectoryRegisterDamage: Error, Hashable, Sendable, CustomStringConvertible {
    package var path: String

    package var description: String {
        "\(path) is damaged. It says which data directories the members run on, and cannot be made anew"
    }
}

/// Which data directory each member runs on: this one's own id, and the id that each other member named when it was
/// first met. `Documentation/formats/directory-register.md`.
///
/// A member whose directory was lost has forgotten its votes and what it acknowledged. Were it let back under its old
/// id, two leaders could be elected in one term, and a majority could deny an acknowledged write. Its peers recognise
/// it by this file. (etcd's refuse it as "already bootstrapped", by asking the others when it starts.)
package final class DirectoryRegister: Sendable {
    package static let fileName = "directory"
    /// Members that can be remembered, those that were removed included.
    package static let membersMax = 4_096

    package let own: DirectoryID
    private let directory: String
    private let fileSystem: any FileSystem
    private let known: Mutex<[NodeID: DirectoryID]>

    private static let magic: [UInt8] = Array("MRTLDIR".utf8) + [1]

    private init(own: DirectoryID, known: [NodeID: DirectoryID], directory: String, fileSystem: any FileSystem) {
        self.own = own
        self.known = Mutex(known)
        self.directory = directory
        self.fileSystem = fileSystem
    }

    /// The file in `directory`; nil if there is none.
    package static func open(in directory: String, _ fileSystem: any FileSystem) throws -> DirectoryRegister? {
        let path = "\(directory)/\(fileName)"
        guard fileSystem.exists(path) else { return nil }
        let file = try fileSystem.open(path, .read)
        defer { file.close() }
        var bytes = [UInt8](repeating: 0, count: try file.size())
        let count = try bytes.withUnsafeMutableBytes { buffer in try file.read(into: buffer, at: 0) }
        guard count == bytes.count, let (own, known) = decode(bytes) else {
            throw DirectoryRegisterDamage(path: path)
        }
        return DirectoryRegister(own: own, known: known, directory: directory, fileSystem: fileSystem)
    }

    /// Makes the file of a new directory.
    package static func make(in directory: String, _ fileSystem: any FileSystem) throws(FileError) -> DirectoryRegister
    {
        var entropy = SystemRandomNumberGenerator()
        let own = DirectoryID(UInt64.random(in: 1...UInt64.max, using: &entropy))
        let register = DirectoryRegister(own: own, known: [:], directory: directory, fileSystem: fileSystem)
        try register.store([:])
        return register
    }

    /// What to make of the directory that `node` names; a member that is met for the first time is remembered durably
    /// before this returns. Any thread.
    package func recognise(_ node: NodeID, _ directory: DirectoryID) -> DirectoryRecognition {
        known.withLock { known in
            if let expected = known[node] { return expected == directory ? .known : .another }
            guard known.count < Self.membersMax else {
                return .unknown(reason: "more than \(Self.membersMax) members cannot be remembered")
            }
            var extended = known
            extended[node] = directory
            do throws(FileError) {
                try store(extended)
            } catch {
                return .unknown(reason: "the member could not be remembered: \(error)")
            }
            known = extended
            return .known
        }
    }

    // MARK: The file

    /// Replaces the file in one step.
    private func store(_ known: [NodeID: DirectoryID]) throws(FileError) {
        let path = "\(directory)/\(Self.fileName)"
        let new = "\(path).new"
        // Of a start that was cut off.
        if fileSystem.exists(new) { try fileSystem.removeFile(new) }
        let bytes = encoded(known)
        let file = try fileSystem.open(new, .create)
        defer { file.close() }
        let written: Result<Void, FileError> = bytes.withUnsafeBytes { bytes in
            Result { () throws(FileError) in try file.write(bytes, at: 0) }
        }
        try written.get()
        try file.synchronize()
        try fileSystem.rename(new, to: path)
        try fileSystem.synchronizeDirectory(directory)
    }

    private func encoded(_ known: [NodeID: DirectoryID]) -> [UInt8] {
        var writer = ByteWriter()
        for byte in Self.magic { writer.write(byte) }
        writer.write(own.rawValue)
        writer.write(UInt32(known.count))
        for (node, directory) in known.sorted(by: { $0.key < $1.key }) {
            writer.write(node.rawValue)
            writer.write(directory.rawValue)
        }
        var bytes = writer.finish()
        let checksum = bytes.withUnsafeBytes { CRC32C.checksum($0) }
        withUnsafeBytes(of: checksum.littleEndian) { bytes += $0 }
        return bytes
    }

    private static func decode(_ bytes: [UInt8]) -> (own: DirectoryID, known: [NodeID: DirectoryID])? {
        bytes.withUnsafeBytes { bytes in
            guard bytes.count >= magic.count + 4, bytes.starts(with: magic) else { return nil }
            let body = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)])
            var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[magic.count...]))
            do throws(DecodingError) {
                let own = DirectoryID(try reader.readUInt64())
                let count = try reader.readUInt32()
                guard count <= membersMax else { return nil }
                var known: [NodeID: DirectoryID] = [:]
                for _ in 0..<count {
                    let node = NodeID(try reader.readUInt64())
                    known[node] = DirectoryID(try reader.readUInt64())
                }
                let checksum = try reader.readUInt32()
                try reader.expectEnd()
                guard checksum == CRC32C.checksum(body) else { return nil }
                return (own, known)
            } catch {
                return nil
            }
        }
    }
}
