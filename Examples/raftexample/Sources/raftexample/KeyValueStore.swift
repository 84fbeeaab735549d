import Raft

/// What the cluster keeps: values by key. This is all that Raft is told of the application.
struct KeyValueStore: StateMachine {
    private(set) var values: [String: [UInt8]] = [:]

    /// The numbers of the newest commands, oldest first: a command that is proposed again, because nobody knew what had
    /// become of it, is carried out once. They are part of the state, so that all members remember the same ones.
    private var order: [UInt64] = []
    private var known: Set<UInt64> = []
    private static let rememberedCommands = 10_000

    /// A command: its number in eight bytes, the key's length in four, the key, the value.
    static func put(_ key: String, _ value: [UInt8], number: UInt64) -> [UInt8] {
        let key = Array(key.utf8)
        return bytes(number) + bytes(UInt32(key.count)) + key + value
    }

    private static func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func parse(_ command: [UInt8]) -> (number: UInt64, key: String, value: [UInt8])? {
        guard command.count >= 12 else { return nil }
        let end = 12 + Int(number(command[8..<12]))
        guard end <= command.count else { return nil }
        return (number(command[0..<8]), String(decoding: command[12..<end], as: UTF8.self), Array(command[end...]))
    }

    mutating func apply(_ command: [UInt8], at index: LogIndex) throws {
        guard let (number, key, value) = Self.parse(command) else {
            throw CommandRejected("not a command of this program")
        }
        guard known.insert(number).inserted else { return }
        order.append(number)
        // In large pieces: removing from the front of an array moves all of it.
        if order.count >= 2 * Self.rememberedCommands {
            known.subtract(order.prefix(Self.rememberedCommands))
            order.removeFirst(Self.rememberedCommands)
        }
        values[key] = value
    }

    func snapshot() throws -> StateSnapshot {
        let (values, order) = (values, order)
        return StateSnapshot { writer in
            try writer.writeRecord(order.flatMap { Self.bytes($0) })
            for (key, value) in values { try writer.writeRecord(Self.put(key, value, number: 0)) }
        }
    }

    mutating func restore(from snapshot: SnapshotReader) throws {
        self = KeyValueStore()
        let numbers = try snapshot.readRecord() ?? []
        order = stride(from: 0, to: numbers.count, by: 8).map { Self.number(numbers[$0..<($0 + 8)]) }
        known = Set(order)
        while let record = try snapshot.readRecord() {
            guard let (_, key, value) = Self.parse(record) else {
                throw CommandRejected("a snapshot of another program")
            }
            values[key] = value
        }
    }
}
