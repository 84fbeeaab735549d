import Foundation
import Synchronization

/// A program that a command runs: with our output, no input, and signals as if a shell had started it.
enum ChildProcess {
    enum Ending: Equatable {
        case exited(Int32)
        case signalled(Int32)
        /// Why it could not be started, in the words of Go's `os/exec`.
        case notStarted(String)

        /// What went wrong, in the words of Go's `os/exec`; nil where nothing did.
        var complaint: String? {
            switch self {
            case .exited(0): nil
            case .exited(let code): "exit status \(code)"
            case .signalled(let number): "signal: " + ChildProcess.name(ofSignal: number)
            case .notStarted(let reason): reason
            }
        }
    }

    /// - Parameters:
    ///   - extra: what its environment has besides ours, or instead of it.
    ///   - onStart: called with its process id.
    static func run(
        _ command: [String], extra: [String: String], onStart: (pid_t) -> Void = { _ in }
    ) async -> Ending {
        let arguments = command.map { ArgumentBytes.bytes($0) }
        guard !command.isEmpty else { return .notStarted("exec: no command") }
        let inherited = ProcessInfo.processInfo.environment.merging(extra) { _, ours in ours }
        let environment = inherited.map { "\($0.key)=\($0.value)" }.sorted().map { Array($0.utf8) }
        var pid: pid_t = 0
        let code = spawn(&pid, arguments, environment)
        guard code == 0 else { return .notStarted(reason(command[0], code)) }
        onStart(pid)
        let child = pid
        return await withCheckedContinuation { continuation in
            // Waiting blocks: it has a thread of its own.
            Thread.detachNewThread {
                var status: Int32 = 0
                while waitpid(child, &status, 0) == -1, errno == EINTR {}
                let signal = status & 0x7f
                continuation.resume(returning: signal == 0 ? .exited(status >> 8 & 0xff) : .signalled(signal))
            }
        }
    }

    private static func spawn(_ pid: inout pid_t, _ arguments: [[UInt8]], _ environment: [[UInt8]]) -> Int32 {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // We ignore the signals that we look after; it does not.
        var defaults = sigset_t()
        sigemptyset(&defaults)
        for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { sigaddset(&defaults, number) }
        var mask = sigset_t()
        sigemptyset(&mask)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setsigmask(&attributes, &mask)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK))
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        return withTexts(arguments) { arguments in
            withTexts(environment) { environment in
                guard let name = arguments[0] else { return ENOENT }
                return posix_spawnp(&pid, name, &actions, &attributes, arguments, environment)
            }
        }
    }

    /// The texts as C has them: an array of pointers that ends with none.
    private static func withTexts<Result>(
        _ texts: [[UInt8]], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let copies = texts.map { text -> UnsafeMutablePointer<CChar>? in
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.count + 1)
            for (index, byte) in text.enumerated() { copy[index] = CChar(bitPattern: byte) }
            copy[text.count] = 0
            return copy
        }
        defer { for copy in copies { copy?.deallocate() } }
        return body(copies + [nil])
    }

    private static func reason(_ name: String, _ code: Int32) -> String {
        if code == ENOENT, !name.contains("/") { return "exec: \"\(name)\": executable file not found in $PATH" }
        return "fork/exec \(name): " + lowercased(String(cString: strerror(code)))
    }

    static func name(ofSignal number: Int32) -> String { lowercased(String(cString: strsignal(number))) }

    private static func lowercased(_ text: String) -> String { text.prefix(1).lowercased() + text.dropFirst() }
}
