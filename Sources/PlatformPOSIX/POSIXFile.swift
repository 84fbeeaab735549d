import Glibc
package import Platform
import Synchronization

/// A file by its descriptor. Closed by ``close()``, or with the last reference to it.
package final class POSIXFile: File {
    /// -1 once closed, so that a second `close` cannot hit a descriptor that is somebody else's by then.
    private let descriptor: Atomic<Int32>
    private let path: String

    init(descriptor: Int32, path: String) {
        self.descriptor = Atomic(descriptor)
        self.path = path
    }

    deinit { close() }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        guard let base = bytes.baseAddress else { return }
        let descriptor = descriptor.load(ordering: .relaxed)
        var done = 0
        while done < bytes.count {
            let count = pwrite(descriptor, base + done, bytes.count - done, offset + done)
            if count > 0 {
                done += count
            } else if count == 0 {
                // POSIX lets a write of more than zero bytes return 0 on odd devices only; looping would hang.
                throw FileError.code(EIO, "pwrite", path)
            } else if errno != EINTR {
                throw FileError.last("pwrite", path)
            }
        }
    }

    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        guard let base = buffer.baseAddress else { return 0 }
        let descriptor = descriptor.load(ordering: .relaxed)
        var done = 0
        while done < buffer.count {
            let count = pread(descriptor, base + done, buffer.count - done, offset + done)
            if count > 0 {
                done += count
            } else if count == 0 {
                break
            } else if errno != EINTR {
                throw FileError.last("pread", path)
            }
        }
        return done
    }

    package func size() throws(FileError) -> Int {
        var status = stat()
        guard fstat(descriptor.load(ordering: .relaxed), &status) == 0 else { throw FileError.last("fstat", path) }
        return Int(status.st_size)
    }

    /// Zeros are written, not reserved by `fallocate`: blocks that are reserved and never written must be converted
    /// by the file system's journal at the first write, which makes that fdatasync slower than one that appends.
    package func fill(upTo bytes: Int) throws(FileError) {
        var end = try size()
        guard end < bytes else { return }
        let chunk = min(bytes - end, 1 << 20)
        let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: chunk, alignment: 4096)
        defer { zeros.deallocate() }
        if let base = zeros.baseAddress { memset(base, 0, chunk) }
        while end < bytes {
            let count = min(chunk, bytes - end)
            try write(UnsafeRawBufferPointer(rebasing: zeros[..<count]), at: end)
            end += count
        }
    }

    package func truncate(to bytes: Int) throws(FileError) {
        while ftruncate(descriptor.load(ordering: .relaxed), bytes) != 0 {
            guard errno == EINTR else { throw FileError.last("ftruncate", path) }
        }
    }

    /// A failure is final for what was written before: Linux marks the pages clean and forgets them, so that a second
    /// fdatasync would succeed without the data ("Can Applications Recover from fsync Failures?", ATC 2020). Only an
    /// interruption by a signal is repeated.
    package func synchronize() throws(FileError) {
        while fdatasync(descriptor.load(ordering: .relaxed)) != 0 {
            guard errno == EINTR else { throw FileError.last("fdatasync", path) }
        }
    }

    package func close() {
        let open = descriptor.exchange(-1, ordering: .acquiringAndReleasing)
        // Not repeated on EINTR: Linux has released the descriptor already.
        if open >= 0 { _ = Glibc.close(open) }
    }
}

/// An flock: it belongs to the open file, so it ends with the process whatever happens.
final class POSIXFileLock: FileLock {
    private let descriptor: Atomic<Int32>

    init(descriptor: Int32) { self.descriptor = Atomic(descriptor) }

    deinit { release() }

    func release() {
        let open = descriptor.exchange(-1, ordering: .acquiringAndReleasing)
        if open >= 0 { _ = Glibc.close(open) }
    }
}
