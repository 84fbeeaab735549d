import Foundation
import Synchronization

/// One member that `martlet dev` started: its process, and the last lines that it logged.
final class MemberProcess: Sendable {
    /// How many lines are kept, to be shown when it dies.
    static let lastLinesMax = 10
    /// A longer line is cut.
    static let lineBytesMax = 4_096

    let member: DevPlan.Member
    private let state = Mutex(State())

    private struct State {
        var process: Process?
        var partial: [UInt8] = []
        var lastLines: [String] = []
        var hasExited = false
        /// An end is told when the process is gone and its last line was read, whichever is later.
        var ending: Ending?
        var hasReadAll = false
    }

    init(_ member: DevPlan.Member) { self.member = member }

    /// How a process ended, in words.
    struct Ending: Equatable, Sendable {
        let text: String
    }

    /// Starts it. `onLine` and `onExit` are called on threads of Foundation's.
    func start(
        executable: URL, arguments: [String], onLine: @escaping @Sendable (String) -> Void,
        onExit: @escaping @Sendable (Ending) -> Void
    ) throws {
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        pipe.fileHandleForReading.readabilityHandler = { handle in
            let data = handle.availableData
            if data.isEmpty {
                handle.readabilityHandler = nil
                let ending = self.state.withLock { state in
                    state.hasReadAll = true
                    return state.ending
                }
                if let ending { onExit(ending) }
            } else {
                for line in self.lines(in: data) { onLine(line) }
            }
        }
        process.terminationHandler = { process in
            let status = process.terminationStatus
            let ending = Ending(
                text: process.terminationReason == .exit
                    ? "exited with code \(status)" : "was killed by signal \(status)")
            let hasReadAll = self.state.withLock { state in
                state.hasExited = true
                state.ending = ending
                return state.hasReadAll
            }
            if hasReadAll { onExit(ending) }
        }
        try process.run()
        state.withLock { $0.process = process }
    }

    /// The lines that are whole now; the rest waits for more.
    private func lines(in data: Data) -> [String] {
        state.withLock { state in
            var lines: [String] = []
            for byte in data {
                if byte != UInt8(ascii: "\n") {
                    if state.partial.count < Self.lineBytesMax { state.partial.append(byte) }
                    continue
                }
                lines.append(String(decoding: state.partial, as: UTF8.self))
                state.partial.removeAll(keepingCapacity: true)
            }
            state.lastLines = Array((state.lastLines + lines).suffix(Self.lastLinesMax))
            return lines
        }
    }

    var lastLines: [String] { state.withLock { $0.lastLines } }

    var isRunning: Bool { state.withLock { $0.process != nil && !$0.hasExited } }

    func send(signal: Int32) {
        // Under the lock, so that the process is not reaped, and its id not another's, in between.
        state.withLock { state in
            guard let process = state.process, !state.hasExited, process.isRunning else { return }
            kill(process.processIdentifier, signal)
        }
    }
}
