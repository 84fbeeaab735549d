import CSupport
import Glibc

/// What this process has used up to now.
struct ProcessUse: Sendable {
    var nanoseconds = Clock.now
    var cpuMicroseconds: Double
    var counts = allocation_counts()

    init() {
        var usage = rusage()
        getrusage(RUSAGE_SELF.rawValue, &usage)
        func microseconds(_ time: timeval) -> Double { Double(time.tv_sec) * 1e6 + Double(time.tv_usec) }
        cpuMicroseconds = microseconds(usage.ru_utime) + microseconds(usage.ru_stime)
    }
}

/// What this process holds now.
struct ProcessHold: Sendable {
    var threads = Self.count("/proc/self/task")
    var descriptors = Self.count("/proc/self/fd")
    var residentKilobytes = Self.residentKilobytes
    /// Memory that was allocated and not freed: exact, where the resident size is what the allocator keeps.
    var liveAllocations = {
        let counts = allocation_counts()
        return Int(counts.allocations) - Int(counts.frees)
    }()
    var bytesInUse = Int(allocation_bytes_in_use())

    private static func count(_ path: String) -> Int {
        guard let directory = opendir(path) else { return -1 }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        return count - 2
    }

    private static var residentKilobytes: Int {
        guard let file = fopen("/proc/self/statm", "r") else { return -1 }
        defer { fclose(file) }
        var text = [CChar](repeating: 0, count: 128)
        guard fgets(&text, Int32(text.count), file) != nil else { return -1 }
        let fields = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let pages = fields.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        return pages.map { $0 * Int(getpagesize()) / 1024 } ?? -1
    }
}
