import EtcdAPI
import Foundation
import MartletClient
import RaftSimulation
import TestSupport

/// Clients that write, read, and compare and write, through all members, and record what they were told. A write is
/// sent once: one whose answer is lost may have been carried out, at any later time, or never.
struct HistoryLoad {
    struct Report: Sendable {
        var history: [HistoryOperation] = []
        /// Calls that were not answered, by what was said.
        var failures: [String: Int] = [:]

        var acknowledgedWrites: Int {
            history.count { $0.outcome == .done || $0.outcome == .compared(true) }
        }
        var unknownWrites: Int {
            history.count { operation in
                if case .read = operation.action { false } else { operation.outcome == nil }
            }
        }
    }

    private static let clientCount =
        ProcessInfo.processInfo.environment["CLUSTER_CLIENTS"].flatMap { Int($0) } ?? 8
    /// How many groups are written to at a time, and for how long.
    private static let groupsAtATime = max(2, clientCount / 4)
    private static let groupNanoseconds: UInt64 = 2_000_000_000

    let cluster: TestCluster
    let seed: UInt64
    let stop = Stop()
    private let start = monotonicNanoseconds()

    init(cluster: TestCluster, seed: UInt64) {
        self.cluster = cluster
        self.seed = seed
    }

    /// How many groups may have been used until now.
    var groupCount: Int {
        (Int((monotonicNanoseconds() - start) / Self.groupNanoseconds) + 1) * Self.groupsAtATime
    }

    /// Returns when ``stop`` is set and the clients have ended.
    func run() async throws -> Report {
        try await withThrowingTaskGroup(of: Report.self) { group in
            for number in 0..<Self.clientCount {
                group.addTask {
                    var client = LoadClient(
                        number: number, load: self, random: SeededRandom(seed: seed &* 1000 &+ UInt64(number)))
                    return try await client.run()
                }
            }
            var all = Report()
            for try await report in group {
                all.history += report.history
                all.failures.merge(report.failures) { $0 + $1 }
            }
            all.history.sort { $0.called < $1.called }
            return all
        }
    }

    /// Reads all groups, with operations that belong to the history.
    func readAll() async throws -> [HistoryOperation] {
        let number = Self.clientCount
        var client = LoadClient(number: number, load: self, random: SeededRandom(seed: seed))
        for group in 0..<groupCount {
            client.turn()
            guard try await client.perform(.read(keys: HistoryKeys.keys(of: group))) else {
                throw ClusterFailure("a read failed after everything was healed: \(client.report.failures)")
            }
        }
        await client.shutdown()
        return client.report.history
    }

    /// One client: it stays with a member while that answers.
    private struct LoadClient {
        let number: Int
        let load: HistoryLoad
        var random: SeededRandom
        var report = Report()
        private let clients: [EtcdClient]
        private var member: Int
        private var nextValue: Int
        /// What keys were last seen to hold.
        private var seen: [Int: Int] = [:]

        init(number: Int, load: HistoryLoad, random: SeededRandom) {
            self.number = number
            self.load = load
            self.random = random
            clients = load.cluster.members.map { $0.client(timeout: .seconds(2)) }
            member = number % clients.count
            nextValue = (number + 1) * 1_000_000_000
        }

        mutating func turn() { member = (member + 1) % clients.count }

        func shutdown() async { for client in clients { await client.shutdown() } }

        mutating func run() async throws -> Report {
            while !load.stop.isOver {
                if Int.random(in: 0..<50, using: &random) == 0 { turn() }
                if try await !perform(nextAction()) { turn() }
                try await Task.sleep(for: .microseconds(Int.random(in: 200...2000, using: &random)))
            }
            await shutdown()
            return report
        }

        private mutating func nextAction() -> KeyValueAction {
            let groups = load.groupCount
            let isOld = Int.random(in: 0..<20, using: &random) == 0
            let group = Int.random(
                in: isOld ? 0..<groups : groups - HistoryLoad.groupsAtATime..<groups, using: &random)
            let keys = HistoryKeys.keys(of: group).shuffled(using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<3: return .read(keys: keys.sorted())
            case 3: return .read(keys: [keys[0]])
            case 4..<7: return .write(key: keys[0], value: newValue())
            default:
                var writes = [KeyedValue(key: keys[0], value: newValue())]
                if Bool.random(using: &random) { writes.append(KeyedValue(key: keys[1], value: newValue())) }
                return .compareAndWrite(key: keys[0], expected: seen[keys[0]] ?? 0, writes: writes)
            }
        }

        /// No two writes have the same value.
        private mutating func newValue() -> Int {
            nextValue += 1
            return nextValue
        }

        /// - Returns: whether it was answered.
        mutating func perform(_ action: KeyValueAction) async throws -> Bool {
            var operation = HistoryOperation(
                client: number, action: action, outcome: nil, called: monotonicNanoseconds(), returned: nil)
            let client = clients[member]
            do {
                let (outcome, revision) = try await Self.call(client, action)
                operation.returned = monotonicNanoseconds()
                operation.outcome = outcome
                operation.revision = revision
            } catch ClientError.unreachable {
                // It was not sent.
                report.failures["no connection", default: 0] += 1
                return false
            } catch let error as ClientError {
                report.failures["\(error)", default: 0] += 1
                report.history.append(operation)
                return false
            }
            remember(operation)
            report.history.append(operation)
            return true
        }

        private mutating func remember(_ operation: HistoryOperation) {
            switch (operation.action, operation.outcome) {
            case (.read(let keys), .values(let values)): for (key, value) in zip(keys, values) { seen[key] = value }
            case (.write(let key, let value), .done): seen[key] = value
            case (.compareAndWrite(_, _, let writes), .compared(true)):
                for write in writes { seen[write.key] = write.value }
            case (.compareAndWrite(let key, _, _), .compared(false)): seen[key] = nil
            default: break
            }
        }

        private static func call(
            _ client: EtcdClient, _ action: KeyValueAction
        ) async throws -> (KeyValueOutcome, revision: Int64) {
            switch action {
            case .read(let keys):
                let isWhole = keys.count == HistoryKeys.keysPerGroup
                let answer = try await client.range(
                    isWhole
                        ? HistoryKeys.range(of: HistoryKeys.group(of: keys[0]))
                        : WireRangeRequest(key: HistoryKeys.name(keys[0])))
                var values: [Int: Int] = [:]
                for pair in answer.kvs {
                    values[try HistoryKeys.key(named: pair.key)] = try HistoryKeys.decode(pair.value)
                }
                return (.values(keys.map { values[$0] ?? 0 }), try revision(answer.header))
            case .write(let key, let value):
                let answer = try await client.put(
                    WirePutRequest(key: HistoryKeys.name(key), value: HistoryKeys.encode(value)))
                return (.done, try revision(answer.header))
            case .compareAndWrite(let key, let expected, let writes):
                let name = HistoryKeys.name(key)
                let condition: WireCompare<[UInt8]> =
                    expected == 0
                    ? WireCompare(result: .equal, target: .version, key: name, operand: .version(0))
                    : WireCompare(
                        result: .equal, target: .value, key: name, operand: .value(HistoryKeys.encode(expected)))
                let answer = try await client.txn(
                    WireTxnRequest(
                        compare: [condition],
                        success: writes.map { write in
                            .put(
                                WirePutRequest(
                                    key: HistoryKeys.name(write.key), value: HistoryKeys.encode(write.value)))
                        }, failure: []))
                return (.compared(answer.succeeded), try revision(answer.header))
            }
        }

        private static func revision(_ header: WireHeader?) throws -> Int64 {
            guard let header, header.revision > 0 else { throw ClusterFailure("an answer without a revision") }
            return header.revision
        }
    }
}
