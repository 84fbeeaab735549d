import Raft

/// The state machine that the tests replicate: `key=value` sets, `key` alone deletes; both answer the value before.
struct KeyValues: StateMachine {
    var values: [String: String] = [:]
    var applied = 0

    struct Damaged: Error {}

    mutating func apply(_ command: [UInt8], at index: LogIndex) throws -> String? {
        let text = String(decoding: command, as: UTF8.self)
        if text == "refuse" { throw CommandRejected("as was asked") }
        if text == "break" { throw Damaged() }
        applied += 1
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { return values.removeValue(forKey: text) }
        return values.updateValue(parts[1], forKey: parts[0])
    }

    func snapshot() throws -> StateSnapshot {
        let (values, applied) = (values, applied)
        return StateSnapshot { writer in
            try writer.writeRecord(Array("\(applied)".utf8))
            for (key, value) in values.sorted(by: { $0.key < $1.key }) {
                try writer.writeRecord(Array("\(key)=\(value)".utf8))
            }
        }
    }

    mutating func restore(from snapshot: SnapshotReader) throws {
        values = [:]
        applied = Int(String(decoding: try snapshot.readRecord() ?? [], as: UTF8.self)) ?? -1
        while let record = try snapshot.readRecord() {
            let parts = String(decoding: record, as: UTF8.self).split(separator: "=", maxSplits: 1).map(String.init)
            values[parts[0]] = parts[1]
        }
    }
}

extension RaftMember where Machine == KeyValues {
    @discardableResult
    func put(_ key: String, _ value: String) async throws(RaftError) -> String? {
        try await propose(Array("\(key)=\(value)".utf8))
    }

    func get(_ key: String, _ consistency: ReadConsistency = .linearizable) async throws -> String? {
        try await read(consistency) { $0.values[key] }
    }
}
