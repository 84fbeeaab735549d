import Foundation
import Logging
import Synchronization

/// Where the server's log lines go: zap's shape, which is etcd's, so that what reads etcd's logs reads ours.
struct ServerLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    private let isJSON: Bool
    private let descriptors: [Int32]

    init(configuration: ServerConfiguration) throws(ConfigurationError) {
        logLevel = Logger.Level(configuration.logLevel)
        isJSON = configuration.logFormat == .json
        var descriptors: [Int32] = []
        for output in configuration.logOutputs {
            switch output {
            case .standardError: descriptors.append(STDERR_FILENO)
            case .standardOutput: descriptors.append(STDOUT_FILENO)
            case .file(let path):
                if configuration.makesLogDirectory { Self.makeDirectory(of: path) }
                let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
                guard descriptor >= 0 else {
                    throw ConfigurationError(
                        "--log-outputs: \(path) cannot be opened: \(String(cString: strerror(errno)))")
                }
                descriptors.append(descriptor)
            }
        }
        self.descriptors = descriptors
    }

    /// Where there is none. If it cannot be made, opening the file says why.
    private static func makeDirectory(of path: String) {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        try? FileManager.default.createDirectory(
            atPath: String(path[..<slash]), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields: [(String, String)] = []
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { fields.append((key, "\(value)")) }
        for (key, value) in (event.metadata ?? [:]).sorted(by: { $0.key < $1.key }) { fields.append((key, "\(value)")) }
        let line =
            isJSON
            ? Self.jsonLine(event.level, "\(event.message)", fields, caller: Self.caller(event.file, event.line))
            : Self.consoleLine(event.level, "\(event.message)", fields)
        let bytes = Array((line + "\n").utf8)
        // One write a line: lines of several threads do not mix.
        for descriptor in descriptors { _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) } }
    }

    static func caller(_ file: String, _ line: UInt) -> String {
        "\(file.split(separator: "/").suffix(2).joined(separator: "/")):\(line)"
    }

    private static func timestamp() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        var parts = tm()
        gmtime_r(&time.tv_sec, &parts)
        func pad(_ value: Int, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        return "\(1900 + parts.tm_year)-\(pad(Int(parts.tm_mon) + 1, 2))-\(pad(Int(parts.tm_mday), 2))T"
            + "\(pad(Int(parts.tm_hour), 2)):\(pad(Int(parts.tm_min), 2)):\(pad(Int(parts.tm_sec), 2))"
            + ".\(pad(time.tv_nsec / 1_000, 6))Z"
    }

    static func jsonLine(
        _ level: Logger.Level, _ message: String, _ fields: [(String, String)], caller: String
    ) -> String {
        var line =
            #"{"level":"\#(name(of: level))","ts":"\#(timestamp())","caller":\#(quote(caller))"#
            + #","msg":\#(quote(message))"#
        for (key, value) in fields { line += ",\(quote(key)):\(quote(value))" }
        return line + "}"
    }

    static func consoleLine(_ level: Logger.Level, _ message: String, _ fields: [(String, String)]) -> String {
        var line = "\(timestamp())\t\(name(of: level).uppercased())\t\(message)"
        for (key, value) in fields { line += "\t\(key)=\(value)" }
        return line
    }

    private static func name(of level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "debug"
        case .info, .notice: "info"
        case .warning: "warn"
        case .error: "error"
        case .critical: "fatal"
        }
    }

    /// A JSON string.
    static func quote(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

extension Logger.Level {
    init(_ level: ServerConfiguration.LogLevel) {
        self =
            switch level {
            case .debug: .debug
            case .info: .info
            case .warn: .warning
            case .error: .error
            case .dpanic, .panic, .fatal: .critical
            }
    }
}
