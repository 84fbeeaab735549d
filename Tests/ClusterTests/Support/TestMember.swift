import EtcdAPI
import Foundation
import MartletClient
import Synchronization

/// One member of a test's cluster: where it lives, and the process that it is at the moment.
final class TestMember: Sendable {
    let name: String
    let clientPort: Int
    let peerPort: Int
    let dataDirectory: String
    /// What all of its processes have said.
    let logFile: String
    private let executable: String
    private let startFlags: Mutex<[String]>
    private let state = Mutex(State())

    private struct State {
        var process: MemberProcess?
        /// Where in the log file the latest process began.
        var logStart: UInt64 = 0
    }

    init(name: String, clientPort: Int, peerPort: Int, directory: String, executable: String) {
        self.name = name
        self.clientPort = clientPort
        self.peerPort = peerPort
        self.executable = executable
        dataDirectory = "\(directory)/\(name)"
        logFile = "\(directory)/\(name).log"
        startFlags = Mutex([])
    }

    var peerURL: String { "http://127.0.0.1:\(peerPort)" }
    var endpoint: Endpoint { Endpoint(host: "127.0.0.1", port: clientPort) }
    var logDirectory: String { "\(dataDirectory)/member/wal" }
    var stateDirectory: String { "\(dataDirectory)/member/state" }

    func setFlags(_ flags: [String]) { startFlags.withLock { $0 = flags } }

    /// The flags of a start; a later one of the same name replaces an earlier one.
    func flags(replacing replacements: [String: String] = [:]) -> [String] {
        startFlags.withLock { $0 }.map { flag in
            let name = String(flag.prefix { $0 != "=" })
            return replacements[name].map { "\(name)=\($0)" } ?? flag
        }
    }

    var process: MemberProcess? { state.withLock { $0.process } }

    /// Starts a process for this member; there must be none.
    @discardableResult
    func start(replacing replacements: [String: String] = [:]) throws -> MemberProcess {
        try state.withLock { state in
            precondition(state.process == nil, "\(name) is running")
            let attributes = try? FileManager.default.attributesOfItem(atPath: logFile)
            state.logStart = (attributes?[.size] as? NSNumber)?.uint64Value ?? 0
            let process = try MemberProcess(
                executable: executable, arguments: ["serve"] + flags(replacing: replacements), output: logFile)
            state.process = process
            return process
        }
    }

    /// SIGKILL, and the process is gone when this returns.
    func kill() {
        state.withLock { state in
            state.process?.end()
            state.process = nil
        }
    }

    /// SIGSTOP: it keeps its connections and its lock, and does not answer.
    func pause() { process?.send(SIGSTOP) }

    func resume() { process?.send(SIGCONT) }

    /// A process that should run has ended by itself.
    func checkRunning() throws {
        guard let ending = process?.ending else { return }
        throw ClusterFailure("\(name) has ended by itself (\(ending)); it said:\n\(tail)")
    }

    /// What the latest process has said.
    var log: String {
        let start = state.withLock { $0.logStart }
        guard let file = FileHandle(forReadingAtPath: logFile) else { return "" }
        defer { try? file.close() }
        guard (try? file.seek(toOffset: start)) != nil, let data = try? file.readToEnd() else { return "" }
        return String(decoding: data, as: UTF8.self)
    }

    /// The last lines of it.
    var tail: String { log.split(separator: "\n").suffix(15).map { "  \($0)" }.joined(separator: "\n") }

    /// A client of this member only, which asks once: whether a call that failed was carried out stays the test's
    /// question.
    func client(timeout: Duration = .seconds(5)) -> EtcdClient {
        var options = EtcdClient.Options()
        options.timeout = timeout
        options.dialTimeout = timeout
        options.retryPause = timeout
        options.retryPauseMax = timeout
        return EtcdClient(endpoints: [endpoint], options: options)
    }

    /// What the member says of itself; nil if it does not answer in time.
    func status(timeout: Duration = .milliseconds(500)) async -> Etcdserverpb_StatusResponse? {
        await ask(timeout: timeout) { (client) throws(ClientError) in try await client.status() }
    }

    /// Asks on a connection of its own; nil if there is no answer.
    func ask<Answer: Sendable>(
        timeout: Duration, _ question: (EtcdClient) async throws(ClientError) -> Answer
    ) async -> Answer? {
        let client = client(timeout: timeout)
        var answer: Answer?
        do throws(ClientError) {
            answer = try await question(client)
        } catch {
            answer = nil
        }
        await client.shutdown()
        return answer
    }
}
