import Foundation

/// What the system says of this process.
struct ProcessFigures: Sendable {
    var residentBytes = 0
    var virtualBytes = 0
    var cpuSeconds = 0.0
    var threads = 0
    var descriptors = 0
    var descriptorsMax = 0

    /// Counting descriptors takes a look at each of them.
    static func now(countsDescriptors: Bool = true) -> ProcessFigures {
        var figures = ProcessFigures()
        let page = sysconf(Int32(_SC_PAGESIZE))
        // "pid (name) state ppid …": the name may hold blanks and parentheses.
        if let line = text("/proc/self/stat"), let end = line.lastIndex(of: ")") {
            let fields = line[line.index(after: end)...].split(separator: " ")
            func field(_ number: Int) -> Int { fields.count > number - 3 ? Int(fields[number - 3]) ?? 0 : 0 }
            figures.cpuSeconds = Double(field(14) + field(15)) / Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
            figures.threads = field(20)
            figures.virtualBytes = field(23)
            figures.residentBytes = field(24) * page
        }
        if countsDescriptors, let directory = opendir("/proc/self/fd") {
            while let entry = readdir(directory) {
                // "." and ".." are no descriptors.
                if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { figures.descriptors += 1 }
            }
            closedir(directory)
            // The one that the directory was read with.
            figures.descriptors -= 1
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            figures.descriptorsMax = Int(clamping: limit.rlim_cur)
        }
        return figures
    }

    /// When this process was started, in seconds since 1970.
    static let startTime: Double = {
        guard let line = text("/proc/self/stat"), let end = line.lastIndex(of: ")"),
            let statistics = text("/proc/stat"),
            let boot = statistics.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }),
            let bootTime = Double(boot.split(separator: " ")[1])
        else { return 0 }
        let fields = line[line.index(after: end)...].split(separator: " ")
        let ticks = fields.count > 19 ? Double(fields[19]) ?? 0 : 0
        return bootTime + ticks / Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
    }()

    /// A file of /proc: small, and without a size of its own.
    private static func text(_ path: String) -> String? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
