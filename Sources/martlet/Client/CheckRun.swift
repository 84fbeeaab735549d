import EtcdAPI
import Foundation
import MartletClient
import Synchronization

/// Many clients that put keys at once, and how long each put took.
final class CheckRun: Sendable {
    struct Figures: Equatable {
        var count = 0
        var perSecond = 0.0
        var slowest = 0.0
        var deviation = 0.0
        var errors: [String: Int] = [:]

        /// - Parameters:
        ///   - times: of the puts that went well, in seconds.
        ///   - total: how long all of it took, in seconds.
        init(times: [Double], errors: [String: Int], total: Double) {
            count = times.count
            self.errors = errors
            guard !times.isEmpty else { return }
            perSecond = Double(times.count) / total
            slowest = times.max() ?? 0
            let mean = times.reduce(0, +) / Double(times.count)
            deviation = (times.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(times.count)).squareRoot()
        }
    }

    private struct State {
        var times: [Double] = []
        var errors: [String: Int] = [:]
        /// When the next put is due.
        var due = ContinuousClock.now
        var left: Int
    }

    private let keyPrefix: [UInt8]
    private let keySize: Int
    private let valueSize: Int
    private let state: Mutex<State>

    /// - Parameters:
    ///   - keySize: what a key has behind the prefix.
    ///   - left: how many puts there are to be.
    init(keyPrefix: [UInt8], keySize: Int, valueSize: Int, left: Int = .max) {
        self.keyPrefix = keyPrefix
        self.keySize = keySize
        self.valueSize = valueSize
        state = Mutex(State(left: left))
    }

    /// How many puts have been made.
    var done: Int { state.withLock { $0.times.count + $0.errors.values.reduce(0, +) } }

    /// - Parameters:
    ///   - interval: between one put and the next, of whichever client; nil for none.
    ///   - duration: after which no more puts are begun; nil for until all are done.
    func run(_ clients: [EtcdClient], interval: Duration?, duration: Duration?) async -> Figures {
        let begin = ContinuousClock.now
        let end = duration.map { begin + $0 }
        state.withLock { $0.due = begin }
        await withTaskGroup(of: Void.self) { group in
            for client in clients {
                group.addTask {
                    while let due = self.ticket(interval, end) {
                        if due > .now { guard (try? await Task.sleep(until: due)) != nil else { return } }
                        if Task.isCancelled { return }
                        await self.put(client)
                    }
                }
            }
        }
        let total = begin.duration(to: .now) / .seconds(1)
        return state.withLock { Figures(times: $0.times, errors: $0.errors, total: total) }
    }

    /// When the next put is to be made; nil for no more. What was missed is not made up for: who is slow shows it.
    private func ticket(_ interval: Duration?, _ end: ContinuousClock.Instant?) -> ContinuousClock.Instant? {
        state.withLock { state in
            let now = ContinuousClock.now
            let due = interval == nil ? now : max(state.due, now)
            guard state.left > 0, end.map({ due < $0 }) ?? true else { return nil }
            state.left -= 1
            state.due = due + (interval ?? .zero)
            return due
        }
    }

    private func put(_ client: EtcdClient) async {
        var key = keyPrefix + Array("\(UInt64.random(in: 0...UInt64.max))".utf8)
        key += Array(repeating: 0, count: max(0, keyPrefix.count + keySize - key.count))
        let request = WirePutRequest(key: key, value: [UInt8](repeating: 0, count: valueSize))
        let begin = ContinuousClock.now
        do throws(ClientError) {
            _ = try await client.put(request)
            let took = begin.duration(to: .now) / .seconds(1)
            state.withLock { $0.times.append(took) }
        } catch {
            state.withLock { $0.errors["\(error)", default: 0] += 1 }
        }
    }
}

/// What both checks do before and after.
struct CheckRoom {
    let global: GlobalOptions
    let prefix: String
    let client: EtcdClient

    private var range: (key: [UInt8], end: [UInt8]) {
        let key = ArgumentBytes.bytes(prefix)
        return (key, KeyPrefix.end(of: key))
    }

    init(_ global: GlobalOptions, prefix: String) throws(CommandFailure) {
        guard !prefix.isEmpty else { throw .badArguments("the keys of a check need a prefix, to be deleted by") }
        self.global = global
        self.prefix = prefix
        client = try global.client()
    }

    private func failing<Answer>(
        _ body: (EtcdClient) async throws(ClientError) -> Answer
    ) async throws(CommandFailure) -> Answer {
        do {
            return try await body(client)
        } catch {
            throw CommandFailure(error, timeout: try global.timeout())
        }
    }

    /// Refuses to begin where there are keys, which would be deleted at the end.
    func checkEmpty() async throws(CommandFailure) {
        var request = WireRangeRequest<[UInt8]>(key: range.key, rangeEnd: range.end)
        request.limit = 1
        let found = try await failing { (client) throws(ClientError) in try await client.range(request) }
        guard found.kvs.isEmpty else {
            let name = GoText.quoted(prefix)
            throw .badInput("prefix \(name) has keys. Delete with 'martlet del --prefix \(prefix)' first")
        }
    }

    /// Deletes the keys.
    /// - Returns: the revision of that.
    func deleteKeys() async throws(CommandFailure) -> Int64 {
        let request = WireDeleteRangeRequest<[UInt8]>(key: range.key, rangeEnd: range.end)
        return try await failing { (client) throws(ClientError) in
            try await client.deleteRange(request).header?.revision ?? 0
        }
    }

    func compact(_ revision: Int64) async throws(CommandFailure) {
        Output.print("Compacting with revision \(revision)\n")
        _ = try await failing { (client) throws(ClientError) in
            try await client.compact(WireCompactionRequest(revision: revision, physical: true))
        }
        Output.print("Compacted with revision \(revision)\n")
    }

    func defragment() async throws(CommandFailure) {
        for endpoint in client.endpoints {
            Output.print("Defragmenting \(GoText.quoted(endpoint.text))\n")
            let member = client.only(endpoint)
            let result: Result<Void, ClientError>
            do throws(ClientError) {
                _ = try await member.defragment()
                result = .success(())
            } catch {
                result = .failure(error)
            }
            await member.shutdown()
            if case .failure(let error) = result { throw CommandFailure(error, timeout: try global.timeout()) }
            Output.print("Defragmented \(GoText.quoted(endpoint.text))\n")
        }
    }

    /// Calls in turn, on a terminal, with how far it is; until the task is cancelled.
    static func showProgress(_ percent: @escaping @Sendable () -> Int) -> Task<Void, Never> {
        Task {
            guard isatty(STDERR_FILENO) == 1 else { return }
            while (try? await Task.sleep(for: .milliseconds(500))) != nil {
                Output.error("\r\(min(100, percent())) % ")
            }
            Output.error("\r        \r")
        }
    }
}
