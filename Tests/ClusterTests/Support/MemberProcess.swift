import Foundation
import Synchronization

/// Why a test cannot go on.
struct ClusterFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// A child process. Its id is never used after it was waited for: by then it may be another process's.
final class MemberProcess: Sendable {
    enum Ending: Equatable, Sendable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    let id: pid_t
    private let waited = Mutex<Ending?>(nil)

    /// - Parameter output: the file that standard output and standard error are appended to.
    init(executable: String, arguments: [String], output: String) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
        // Not this process's environment: the server reads MARTLET_* as its flags.
        let environment = ["PATH", "HOME", "LD_LIBRARY_PATH"].compactMap { name in
            ProcessInfo.processInfo.environment[name].map { "\(name)=\($0)" }
        }
        var argumentTexts = ([executable] + arguments).map { strdup($0) } + [nil]
        var environmentTexts = environment.map { strdup($0) } + [nil]
        defer { for text in argumentTexts + environmentTexts { free(text) } }
        var id: pid_t = 0
        let error = posix_spawn(&id, executable, &actions, nil, &argumentTexts, &environmentTexts)
        guard error == 0 else {
            throw ClusterFailure("\(executable) cannot be started: \(String(cString: strerror(error)))")
        }
        self.id = id
    }

    deinit { end() }

    /// How it ended; nil while it runs, or is stopped.
    var ending: Ending? { waited.withLock { wait(&$0, options: WNOHANG) } }

    /// Nothing happens if it has ended.
    func send(_ signal: Int32) {
        waited.withLock { ending in
            guard wait(&ending, options: WNOHANG) == nil else { return }
            kill(id, signal)
        }
    }

    /// Kills it, if it still is there, and waits until it is gone.
    func end() {
        waited.withLock { ending in
            guard wait(&ending, options: WNOHANG) == nil else { return }
            kill(id, SIGKILL)
            _ = wait(&ending, options: 0)
        }
    }

    /// How it ended, within a time.
    func ending(within time: Duration) async throws -> Ending {
        let deadline = ContinuousClock.now + time
        while ContinuousClock.now < deadline {
            if let ending { return ending }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw ClusterFailure("the process has not ended within \(time)")
    }

    private func wait(_ ending: inout Ending?, options: Int32) -> Ending? {
        if let ending { return ending }
        var status: Int32 = 0
        var result: pid_t
        repeat { result = waitpid(id, &status, options) } while result < 0 && errno == EINTR
        guard result == id else { return nil }
        // WIFEXITED and its like are macros, which are not imported.
        ending = status & 0x7f == 0 ? .exited(status >> 8 & 0xff) : .killed(signal: status & 0x7f)
        return ending
    }
}
