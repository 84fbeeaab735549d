import Raft

/// A state machine that costs next to nothing, so that what is measured is the library: it counts its commands.
struct Tally: StateMachine {
    private(set) var commands = 0
    private(set) var bytes = 0

    mutating func apply(_ command: [UInt8], at index: LogIndex) -> Int {
        commands += 1
        bytes += command.count
        return commands
    }

    func snapshot() -> StateSnapshot {
        let state = "\(commands) \(bytes)"
        return StateSnapshot(Array(state.utf8))
    }

    mutating func restore(from snapshot: SnapshotReader) throws {
        let text = String(decoding: try snapshot.readAll(), as: UTF8.self)
        let numbers = text.split(separator: " ").compactMap { Int($0) }
        guard numbers.count == 2 else { throw CommandRejected("a snapshot of another program") }
        commands = numbers[0]
        bytes = numbers[1]
    }
}
