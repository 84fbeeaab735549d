import Platform
import Synchronization

/// A file's bytes in memory, for whoever only reads.
final class MemoryFile: File {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        guard offset < bytes.count else { return 0 }
        let count = min(buffer.count, bytes.count - offset)
        bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count])) }
        return count
    }

    func size() -> Int { bytes.count }

    private func refuse(_ operation: String) throws(FileError) -> Never {
        throw FileError(operation: operation, path: "memory", errno: 30, reason: "it is only read")
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) { try refuse("write") }
    func fill(upTo bytes: Int) throws(FileError) { try refuse("fill") }
    func truncate(to bytes: Int) throws(FileError) { try refuse("truncate") }
    func synchronize() throws(FileError) { try refuse("fdatasync") }
    func close() {}
}
