import CSupport
import Glibc

/// The little that is needed of files and sockets, without Foundation: it would allocate beside what is measured.
enum Files {
    static func makeEmpty(_ path: String) throws {
        try remove(path)
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/\(part)"
            guard mkdir(made, 0o755) == 0 || errno == EEXIST else {
                throw Problem("cannot make \(path): errno \(errno)")
            }
        }
    }

    static func remove(_ path: String) throws {
        let result = remove_tree(path)
        guard result == 0 else { throw Problem("cannot remove \(path): errno \(result)") }
    }

    static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw Problem("cannot write \(path): errno \(errno)") }
        fputs(text, file)
        guard fclose(file) == 0 else { throw Problem("cannot write \(path): errno \(errno)") }
    }

    /// A port of 127.0.0.1 that nobody listens on now.
    static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 ? getsockname(descriptor, pointer, &length) : -1
            }
        }
        guard descriptor >= 0, result == 0 else { throw Problem("no free port: errno \(errno)") }
        return UInt16(bigEndian: address.sin_port)
    }

    /// Medians of writing 320 bytes and fdatasync, in microseconds: into blocks that are written already, as a log that
    /// prepares its segments has them, and at the file's end.
    static func syncMicroseconds(in directory: String) throws -> (overwriting: Double, appending: Double) {
        let path = "\(directory)/sync"
        let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o644)
        guard descriptor >= 0 else { throw Problem("cannot make \(path): errno \(errno)") }
        defer {
            close(descriptor)
            unlink(path)
        }
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        guard pwrite(descriptor, zeros, zeros.count, 0) == zeros.count, fsync(descriptor) == 0 else {
            throw Problem("cannot write \(path): errno \(errno)")
        }
        // Before all others, where that is allowed: on a busy machine the wait for a core after each sync is many times
        // the sync, and it is the disk that is asked for.
        var priority = sched_param(sched_priority: 1)
        sched_setscheduler(0, SCHED_FIFO, &priority)
        defer {
            priority.sched_priority = 0
            sched_setscheduler(0, SCHED_OTHER, &priority)
        }
        func median(from start: Int) throws -> Double {
            let record = [UInt8](repeating: 0x5a, count: 320)
            var times: [UInt64] = []
            for number in 0..<300 {
                let begin = Clock.now
                guard pwrite(descriptor, record, record.count, off_t(start + number * record.count)) == record.count,
                    fdatasync(descriptor) == 0
                else { throw Problem("cannot write \(path): errno \(errno)") }
                times.append(Clock.now - begin)
            }
            return Double(times.sorted()[times.count / 2]) / 1e3
        }
        return (try median(from: 0), try median(from: zeros.count))
    }
}

enum Clock {
    /// Monotonic nanoseconds.
    static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
