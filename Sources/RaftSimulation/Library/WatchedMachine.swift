import Raft
import RaftCore

/// The user's machine, with a number before each command by which it is known again, and with somebody who watches what
/// is applied. Everything around it is as it is in a `RaftMember`.
struct WatchedMachine<Machine: StateMachine>: StateMachine {
    typealias Response = Machine.Response

    static var idBytes: Int { 8 }

    private(set) var machine: Machine
    /// The last command that is in the state.
    private(set) var index = LogIndex.zero
    /// Over all commands that are in the state, and their places. It goes through snapshots with the state.
    private(set) var chain: UInt64 = 0
    private let applied: (AppliedCommand<Response>) -> Void

    init(_ machine: Machine, applied: @escaping (AppliedCommand<Response>) -> Void) {
        self.machine = machine
        self.applied = applied
    }

    static func encode(_ command: [UInt8], id: UInt64) -> [UInt8] {
        withUnsafeBytes(of: id.littleEndian) { Array($0) } + command
    }

    /// The chain with one more command.
    static func link(_ command: [UInt8], at index: LogIndex, to chain: UInt64) -> UInt64 {
        var link = Digest()
        link.add(chain)
        link.add(index.rawValue)
        command.withUnsafeBytes { link.add($0) }
        return link.value
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func apply(_ command: [UInt8], at index: LogIndex) throws -> Response {
        guard command.count >= Self.idBytes else {
            throw SimulationDamage(reason: "entry \(index.rawValue) is none of the simulation's")
        }
        let id = Self.number(command.prefix(Self.idBytes))
        chain = Self.link(command, at: index, to: chain)
        self.index = index
        func tell(_ answer: MachineAnswer<Response>) {
            applied(AppliedCommand(id: id, index: index, chain: chain, answer: answer))
        }
        do {
            let response = try machine.apply(Array(command.dropFirst(Self.idBytes)), at: index)
            tell(.response(response))
            return response
        } catch let rejection as CommandRejected {
            tell(.rejected(rejection.reason))
            throw rejection
        }
    }

    func snapshot() throws -> StateSnapshot {
        let inner = try machine.snapshot()
        let head = withUnsafeBytes(of: (index.rawValue.littleEndian, chain.littleEndian)) { Array($0) }
        return StateSnapshot { writer in
            try writer.write(head)
            try inner.write(writer)
        }
    }

    mutating func restore(from snapshot: SnapshotReader) throws {
        var head: [UInt8] = []
        while head.count < 16 {
            let more = try snapshot.read(upTo: 16 - head.count)
            if more.isEmpty { throw SimulationDamage(reason: "a snapshot of \(head.count) bytes") }
            head += more
        }
        index = LogIndex(Self.number(head[..<8]))
        chain = Self.number(head[8...])
        try machine.restore(from: snapshot)
    }
}

/// One command, as one member has applied it.
struct AppliedCommand<Response: Sendable> {
    var id: UInt64
    var index: LogIndex
    var chain: UInt64
    var answer: MachineAnswer<Response>
}

struct SimulationDamage: Error, CustomStringConvertible {
    var reason: String
    var description: String { reason }
}

/// Whether two values are equal; nil where their type knows no such thing.
func areEqual<Value>(_ one: Value, _ other: Value) -> Bool? {
    func compare<Known: Equatable>(_ one: Known) -> Bool { (other as? Known) == one }
    guard let one = one as? any Equatable else { return nil }
    return compare(one)
}
