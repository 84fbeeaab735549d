import Foundation
import Raft

/// Options with which a test does not have to wait.
func quickOptions(_ change: (inout RaftOptions) -> Void = { _ in }) -> RaftOptions {
    var options = RaftOptions()
    options.heartbeatInterval = .milliseconds(20)
    options.electionTimeout = .milliseconds(200)
    options.requestTimeout = .seconds(5)
    change(&options)
    return options
}

/// A directory that goes when it is let go.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("raft-tests-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Waits for something that comes about by itself.
func eventually(
    within limit: Duration = .seconds(10), _ condition: () async throws -> Bool
) async throws -> Bool {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if try await condition() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return try await condition()
}

/// How many there are in this process, by `/proc`.
enum ProcessUse {
    static var threads: Int { count("/proc/self/task") }
    static var descriptors: Int { count("/proc/self/fd") }

    static var residentKilobytes: Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
        return Int(line.filter(\.isNumber)) ?? 0
    }

    private static func count(_ path: String) -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: path).count) ?? -1
    }
}

extension RaftMember where Machine == KeyValues {
    static func alone(_ log: RaftLog, _ options: RaftOptions = quickOptions()) -> RaftMember {
        RaftMember(
            id: 1, cluster: .new([RaftPeer(id: 1)]), log: log, transport: .inMemory(InMemoryNetwork()),
            stateMachine: KeyValues(), options: options)
    }
}
