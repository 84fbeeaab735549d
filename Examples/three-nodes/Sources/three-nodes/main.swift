// A whole cluster in one process: three members in memory, a leader that is cut off, and one that takes its place.
import Raft

struct Words: StateMachine {
    var words: [String] = []

    mutating func apply(_ command: [UInt8], at index: LogIndex) -> Int {
        words.append(String(decoding: command, as: UTF8.self))
        return words.count
    }

    func snapshot() -> StateSnapshot {
        let words = words
        return StateSnapshot { writer in for word in words { try writer.writeRecord(Array(word.utf8)) } }
    }

    mutating func restore(from snapshot: SnapshotReader) throws {
        words = []
        while let word = try snapshot.readRecord() { words.append(String(decoding: word, as: UTF8.self)) }
    }
}

let network = InMemoryNetwork()
let peers: [RaftPeer] = [RaftPeer(id: 1), RaftPeer(id: 2), RaftPeer(id: 3)]
let members = peers.map { peer in
    RaftMember(
        id: peer.id, cluster: .new(peers), log: .memory(), transport: .inMemory(network), stateMachine: Words())
}
for member in members { try await member.start() }

let watching = Task {
    for await event in members[0].events { print("member 1 has seen: \(event)") }
}

let leader = try await members[0].waitForLeader()
print("member \(leader) leads")
for word in ["one", "two", "three"] { try await members[0].propose(Array(word.utf8)) }

network.isolate(leader)
print("member \(leader) is cut off")
let other = members.first { $0.id != leader }!
while try await other.waitForLeader() == leader { try await Task.sleep(for: .milliseconds(20)) }
print("member \(try await other.waitForLeader()) leads now")
try await other.propose(Array("four".utf8))

let old = members.first { $0.id == leader }!
print("cut off, it has \(try await old.read(.local) { $0.words })")
network.heal()
print("back again, it has \(try await old.read { $0.words })")

for member in members { await member.stop() }
await watching.value
