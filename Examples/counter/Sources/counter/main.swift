// A replicated counter. Start it three times, in three terminals:
//
//     swift run counter 1        swift run counter 2        swift run counter 3
//
// and type numbers to add; an empty line shows the sum. Every member has the same one, also after a restart.
import Raft

/// What is replicated: a number, and how commands change it.
struct Counter: StateMachine {
    var sum = 0

    mutating func apply(_ command: [UInt8], at index: LogIndex) throws -> Int {
        guard let number = Int(String(decoding: command, as: UTF8.self)) else { throw CommandRejected("no number") }
        let (result, overflow) = sum.addingReportingOverflow(number)
        if overflow { throw CommandRejected("too large") }
        sum = result
        return sum
    }

    func snapshot() throws -> StateSnapshot { StateSnapshot(Array("\(sum)".utf8)) }

    mutating func restore(from snapshot: SnapshotReader) throws {
        sum = Int(String(decoding: try snapshot.readAll(), as: UTF8.self)) ?? 0
    }
}

let id = CommandLine.arguments.dropFirst().first.flatMap { UInt64($0) } ?? 1
let member = RaftMember(
    id: NodeID(id),
    cluster: .new((1...3).map { RaftPeer(id: NodeID($0), address: "127.0.0.1:\(7_000 + $0)") }),
    log: .directory("counter-\(id)"),
    transport: .tcp(),
    stateMachine: Counter())
try await member.start()
print("member \(id); two of the three are needed")

while let line = readLine() {
    do {
        let sum =
            if line.isEmpty { try await member.read { $0.sum } } else { try await member.propose(Array(line.utf8)) }
        print("sum \(sum), leader \(member.status?.leader?.description ?? "unknown")")
    } catch {
        print("\(error)")
    }
}
await member.stop(handingOver: true)
