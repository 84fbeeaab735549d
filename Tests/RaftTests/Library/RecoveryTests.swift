import Foundation
import PeerTransport
import Platform
import RaftCore
import TestSupport
import Testing

@testable import Raft

extension LibraryTests {
    /// A majority is lost for good, and what one member has becomes a new cluster.
    @Suite struct RecoveryTests {
        typealias Member = RaftMember<KeyValues>

        private func recover(
            _ log: RaftLog, id: NodeID = 1, as members: [RaftPeer] = [RaftPeer(id: 1)],
            from clusterName: String = "raft", to newName: String = "raft-2"
        ) async throws(RaftError) -> LogIndex {
            try await Member.recover(
                id: id, log: log, stateMachine: KeyValues(), members: members, clusterName: clusterName,
                newClusterName: newName)
        }

        private func member(
            _ id: NodeID, _ cluster: ClusterStart, _ log: RaftLog, _ transport: RaftTransport,
            _ name: String = "raft-2", _ change: (inout RaftOptions) -> Void = { _ in }
        ) -> Member {
            Member(
                id: id, cluster: cluster, log: log, transport: transport, stateMachine: KeyValues(),
                options: quickOptions {
                    $0.clusterName = name
                    change(&$0)
                })
        }

        private func alone(_ log: RaftLog, _ name: String = "raft-2") -> Member {
            member(1, .join([]), log, .inMemory(InMemoryNetwork()), name)
        }

        // MARK: Whole clusters

        @Test func `two of three are destroyed, the third begins anew, and two new ones join it`() async throws {
            let list = (1...3).map { RaftPeer(id: NodeID(UInt64($0)), address: FreePorts.address()) }
            let directories = try (1...3).map { _ in try TemporaryDirectory() }
            let old = list.indices.map { place in
                member(list[place].id, .new(list), .directory(directories[place].path), .tcp(), "raft") {
                    $0.snapshotEntries = 50
                    $0.catchUpEntries = 10
                }
            }
            for member in old { try await member.start() }
            for number in 0..<170 { try await old[number % 3].put("k\(number)", "\(number)") }
            #expect(try await eventually { try await old[2].get("k169", .local) != nil })
            let term = try #require(old[2].status?.term)
            let log = RaftLog.directory(directories[2].path)
            await #expect(throws: RaftError.directoryInUse(directories[2].path)) {
                try await log.inspect(as: 3, clusterName: "raft")
            }
            await #expect(throws: RaftError.directoryInUse(directories[2].path)) {
                try await recover(log, id: 3, as: [list[2]])
            }
            for member in old { await member.stop() }
            for directory in directories[..<2] { try FileManager.default.removeItem(atPath: directory.path) }

            let state = try await log.inspect(as: 3, clusterName: "raft")
            #expect(state.members == list && state.term >= term && !state.isRecoveryUnfinished)
            #expect(state.snapshotIndex > LogIndex(1) && state.lastIndex >= LogIndex(171))
            let index = try await recover(log, id: 3, as: [list[2]])
            #expect(index == state.lastIndex.next)

            let third = member(3, .join([]), log, .tcp())
            try await third.start()
            #expect(try await third.waitForLeader() == 3)
            #expect(third.members == [list[2]])
            #expect(try await third.read { $0.values.count } == 170)
            try await third.put("new", "1")
            #expect((third.status?.lastIndex ?? .zero) > index && (third.status?.term ?? .zero) > state.term)
            // New machines, with the old ones' ids and addresses.
            let empty = try (0..<2).map { _ in try TemporaryDirectory() }
            let new = (0..<2).map { place in
                member(list[place].id, .join(list), .directory(empty[place].path), .tcp())
            }
            for place in 0..<2 {
                try await new[place].start()
                try await third.addLearner(list[place])
                // A connection to it is there then.
                #expect(try await eventually { try await new[place].get("new", .local) == "1" })
                try await third.promote(list[place].id)
            }
            for member in new {
                #expect(try await eventually { try await member.get("new", .local) == "1" })
                #expect(try await member.read { $0.values.count } == 171)
                #expect(member.members == list)
            }
            // Any of them can be lost again.
            await third.stop()
            #expect(try await eventually { new.contains { $0.status?.role == .leader } })
            try await new[0].put("newer", "2")
            #expect(try await new[1].get("newer") == "2")
            for member in new { await member.stop() }
        }

        @Test func `members of the old cluster that still run are kept away`() async throws {
            let list = (1...3).map { RaftPeer(id: NodeID(UInt64($0)), address: FreePorts.address()) }
            let directories = try (1...3).map { _ in try TemporaryDirectory() }
            let old = list.indices.map {
                member(list[$0].id, .new(list), .directory(directories[$0].path), .tcp(), "raft")
            }
            for member in old { try await member.start() }
            try await old[2].put("a", "old")
            await old[2].stop(handingOver: true)
            // The majority was not lost at all: somebody was mistaken.
            _ = try await recover(.directory(directories[2].path), id: 3, as: [list[2]])
            let third = member(3, .new(list), .directory(directories[2].path), .tcp())
            try await third.start()
            _ = try await third.waitForLeader()
            for number in 0..<20 {
                try await old[0].put("a", "old\(number)")
                try await third.put("a", "new\(number)")
            }
            try await Task.sleep(for: .milliseconds(600))
            #expect(try await third.get("a") == "new19")
            #expect(try await old[1].get("a") == "old19")
            #expect(third.failure == nil && old[0].failure == nil && old[1].failure == nil)
            // With the old one's id, and a place of its own.
            let second = RaftPeer(id: 2, address: FreePorts.address())
            let empty = try TemporaryDirectory()
            let joined = member(2, .join([list[2], second]), .directory(empty.path), .tcp())
            try await joined.start()
            try await third.addMember(second)
            #expect(try await joined.get("a") == "new19")
            #expect(try await old[1].get("a") == "old19")
            for member in old + [third, joined] { await member.stop() }
        }

        @Test func `others that are listed join with nothing, and elect with it`() async throws {
            let log = RaftLog.memory()
            try WrittenLife(entries: [WrittenLife.command("a=1", at: 2, term: 1)]).write(to: log)
            let list = [RaftPeer(id: 1), RaftPeer(id: 4), RaftPeer(id: 5), RaftPeer(id: 6, role: .learner)]
            _ = try await recover(log, as: list)
            let network = InMemoryNetwork()
            let members = list.map { peer in
                member(peer.id, .join(list), peer.id == 1 ? log : .memory(), .inMemory(network))
            }
            for member in members.reversed() { try await member.start() }
            #expect(try await members[3].waitForLeader() == 1)
            try await members[2].put("b", "2")
            for member in members { #expect(try await member.read { $0.values } == ["a": "1", "b": "2"]) }
            #expect(members[3].members == list)
            for member in members { await member.stop() }
        }

        // MARK: What is recovered

        @Test func `the whole log takes effect, also what nobody has acknowledged and what is rejected`() async throws {
            let log = RaftLog.memory()
            var life = WrittenLife(firstValues: ["z": "0"])
            life.hardState = HardState(term: Term(9), votedFor: 2, commit: LogIndex(2))
            life.entries = [
                WrittenLife.command("a=1", at: 2, term: 1), WrittenLife.command("refuse", at: 3, term: 4),
                Entry(index: LogIndex(4), term: Term(5), payload: []), WrittenLife.command("b=2", at: 5, term: 5),
            ]
            try life.write(to: log)
            let state = try await log.inspect(as: 1, clusterName: "raft")
            #expect(state.commit == LogIndex(2) && state.term == Term(9))
            #expect(state.lastIndex == LogIndex(5) && state.lastTerm == Term(5))
            #expect(state.snapshotIndex == LogIndex(1) && state.snapshotTerm == Term(1))
            #expect(try await recover(log) == LogIndex(6))
            let member = alone(log)
            try await member.start()
            #expect(try await member.read { $0.values } == ["z": "0", "a": "1", "b": "2"])
            // A term above any that it has voted in.
            #expect((member.status?.term ?? .zero) > Term(10))
            try await member.put("c", "3")
            #expect((member.status?.lastIndex ?? .zero) >= LogIndex(8))
            await member.stop()
        }

        @Test func `a change of the membership that was under way ends with the old cluster`() async throws {
            let log = RaftLog.memory()
            let new = [RaftPeer(id: 4, address: "m4"), RaftPeer(id: 5, address: "m5")]
            let changes = new.map { MemberChange(.addVoter, $0.id) } + [MemberChange(.remove, 1)]
            var life = WrittenLife()
            life.entries = [
                WrittenLife.command("a=1", at: 2, term: 1),
                WrittenLife.change(changes, of: new, at: 3, term: 1), WrittenLife.command("b=2", at: 4, term: 1),
            ]
            try life.write(to: log)
            let found = try await log.inspect(as: 1, clusterName: "raft").members
            #expect(found.map(\.id) == [1, 2, 3, 4, 5] && found.last?.address == "m5")
            _ = try await recover(log)
            let member = alone(log)
            try await member.start()
            try await member.put("c", "3")
            #expect(try await member.read { $0.values.count } == 3)
            #expect(member.members == [RaftPeer(id: 1)])
            await member.stop()
        }

        @Test func `who has more is told by the last term, and then by the last index`() async throws {
            func state(_ terms: [UInt64]) async throws -> RecoverableState {
                let log = RaftLog.memory()
                var life = WrittenLife(hardState: HardState(term: Term(9), commit: LogIndex(1)))
                life.entries = terms.enumerated().map { place, term in
                    WrittenLife.command("a=1", at: UInt64(place) + 2, term: term)
                }
                try life.write(to: log)
                return try await log.inspect(as: 1, clusterName: "raft")
            }
            let long = try await state([2, 2, 2, 2])
            let (late, longer) = (try await state([2, 3]), try await state([2, 3, 3]))
            #expect(late.hasAsMuch(as: long) && !long.hasAsMuch(as: late))
            #expect(longer.hasAsMuch(as: late) && !late.hasAsMuch(as: longer))
            #expect(late.hasAsMuch(as: late))
        }

        @Test func `a state machine that fails leaves everything as it was`() async throws {
            let log = RaftLog.memory()
            var life = WrittenLife()
            life.entries = [WrittenLife.command("a=1", at: 2, term: 1), WrittenLife.command("break", at: 3, term: 1)]
            try life.write(to: log)
            let before = try allFiles(log.storage.fileSystem, "/raft")
            let error = await #expect(throws: RaftError.self) { try await recover(log) }
            guard case .failed(let failure)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(failure.part == .stateMachine && failure.reason.contains("entry 3"))
            #expect(try allFiles(log.storage.fileSystem, "/raft") == before)
        }

        // MARK: Again

        @Test func `it can be run again until the member is started`() async throws {
            let log = RaftLog.memory()
            try WrittenLife(entries: [WrittenLife.command("a=1", at: 2, term: 1)]).write(to: log)
            let index = try await recover(log)
            let files = try allFiles(log.storage.fileSystem, "/raft")
            #expect(try await recover(log) == index)
            #expect(try allFiles(log.storage.fileSystem, "/raft") == files)
            await #expect(throws: RaftError.recoveryRefused(.alreadyRecovered)) {
                try await recover(log, as: [RaftPeer(id: 1), RaftPeer(id: 2)])
            }
            await #expect(throws: RaftError.foreignDirectory("/raft")) { try await recover(log, to: "raft-3") }
            #expect(try allFiles(log.storage.fileSystem, "/raft") == files)
            // A recovered member is one like any other, and can be recovered itself.
            let next = try await recover(log, from: "raft-2", to: "raft-3")
            #expect(next == index.next)
            let member = alone(log, "raft-3")
            try await member.start()
            #expect(try await member.get("a") == "1")
            await member.stop()
            await #expect(throws: RaftError.recoveryRefused(.alreadyRecovered)) {
                try await recover(log, from: "raft-2", to: "raft-3")
            }
            let old = alone(log, "raft-2")
            await #expect(throws: RaftError.foreignDirectory("/raft")) { try await old.start() }
        }

        @Test func `what members knew of each other's directories is forgotten`() async throws {
            let log = RaftLog.memory()
            try WrittenLife().write(to: log)
            let files = log.storage.fileSystem
            let before = try #require(try DirectoryRegister.open(in: "/raft", files))
            #expect(before.recognise(2, DirectoryID(22)) == .known)
            _ = try await recover(log)
            let after = try #require(try DirectoryRegister.open(in: "/raft", files))
            #expect(after.own != before.own)
            #expect(after.recognise(2, DirectoryID(23)) == .known)
        }

        // MARK: Refusals

        @Test func `a list of members that cannot be is refused`() async throws {
            let log = RaftLog.memory()
            try WrittenLife().write(to: log)
            let before = try allFiles(log.storage.fileSystem, "/raft")
            let cases: [([RaftPeer], RecoveryRefusal)] = [
                ([], .notAmongMembers(1)),
                ([RaftPeer(id: 2)], .notAmongMembers(1)),
                ([RaftPeer(id: 1), RaftPeer(id: 0)], .invalidID),
                ([RaftPeer(id: 1), RaftPeer(id: 2), RaftPeer(id: 1)], .namedTwice(1)),
                ([RaftPeer(id: 1, role: .learner)], .doesNotVote(1)),
                ([RaftPeer(id: 1, role: .learner), RaftPeer(id: 2)], .doesNotVote(1)),
                ([RaftPeer(id: 1, address: String(repeating: "x", count: 2_000))], .addressTooLong(1)),
            ]
            for (members, refusal) in cases {
                await #expect(throws: RaftError.recoveryRefused(refusal)) { try await recover(log, as: members) }
            }
            for name in ["raft", ""] {
                await #expect(throws: RaftError.recoveryRefused(.clusterNameIsNotNew(name))) {
                    try await recover(log, to: name)
                }
            }
            #expect(try allFiles(log.storage.fileSystem, "/raft") == before)
        }

        @Test func `where there is nothing, nothing is made`() async throws {
            let directory = try TemporaryDirectory()
            let nowhere = directory.path + "/none"
            func expectNothing(_ log: RaftLog) async {
                await #expect(throws: RaftError.recoveryRefused(.nothingToRecover)) { try await recover(log) }
                await #expect(throws: RaftError.recoveryRefused(.nothingToRecover)) {
                    try await log.inspect(as: 1, clusterName: "raft")
                }
            }
            await expectNothing(.directory(nowhere))
            #expect(!FileManager.default.fileExists(atPath: nowhere))
            await expectNothing(.directory(directory.path))
            await expectNothing(.memory())
            // It was to join, and has never heard from anybody.
            let log = RaftLog.memory()
            let joining = alone(log, "raft")
            try await joining.start()
            await joining.stop()
            await expectNothing(log)
        }

        @Test func `what is another's is refused, and nothing changes`() async throws {
            let log = RaftLog.memory()
            try WrittenLife().write(to: log)
            let before = try allFiles(log.storage.fileSystem, "/raft")
            let refusal = RaftError.foreignDirectory("/raft")
            await #expect(throws: refusal) { try await log.inspect(as: 2, clusterName: "raft") }
            await #expect(throws: refusal) { try await log.inspect(as: 1, clusterName: "another") }
            await #expect(throws: refusal) { try await recover(log, id: 2, as: [RaftPeer(id: 2)]) }
            await #expect(throws: refusal) { try await recover(log, from: "another") }
            #expect(try allFiles(log.storage.fileSystem, "/raft") == before)
        }

        @Test(arguments: ["/directory", "/snapshots/origin-1-1", "/log/0000000000000001.wal"])
        func `what is damaged or incomplete is refused, and nothing changes`(_ path: String) async throws {
            for isMissing in [false, true] {
                let log = RaftLog.memory()
                var life = WrittenLife()
                life.entries = (2...9).map { WrittenLife.command("k\($0)=1", at: $0, term: 1) }
                try life.write(to: log)
                let files = log.storage.fileSystem
                let bytes = try #require(try allFiles(files, "/raft")["/raft" + path])
                try files.removeFile("/raft" + path)
                if !isMissing {
                    var rotten = bytes
                    // The log's head is a block; what follows it is in the middle of its records.
                    rotten[path.hasSuffix(".wal") ? 4_096 + 150 : bytes.count - 14] ^= 1
                    let file = try files.open("/raft" + path, .create)
                    try rotten.withUnsafeBytes { try file.write($0, at: 0) }
                }
                let before = try allFiles(files, "/raft")
                for error in [
                    await #expect(throws: RaftError.self, performing: { try await recover(log) }),
                    await #expect(
                        throws: RaftError.self, performing: { try await log.inspect(as: 1, clusterName: "raft") }),
                ] {
                    guard case .damagedDirectory("/raft", _)? = error else {
                        Issue.record("\(path), missing: \(isMissing): \(String(describing: error))")
                        continue
                    }
                }
                #expect(try allFiles(files, "/raft") == before)
            }
        }

        @Test func `to look changes nothing, also where a start would put something in order`() async throws {
            let log = RaftLog.memory()
            var life = WrittenLife()
            life.entries = (2...9).map { WrittenLife.command("k\($0)=1", at: $0, term: 1) }
            try life.write(to: log)
            let files = log.storage.fileSystem
            for name in ["writing-7", "incoming-2"] { _ = try files.open("/raft/snapshots/\(name)", .create) }
            _ = try files.open("/raft/log/0000000000000002.wal.preparing", .create)
            // The end of a write that a power cut has left.
            let segment = try files.open("/raft/log/0000000000000001.wal", .readWrite)
            try Array(repeating: UInt8(7), count: 100).withUnsafeBytes { try segment.write($0, at: 8_192) }
            let before = try allFiles(files, "/raft")
            #expect(try await log.inspect(as: 1, clusterName: "raft").lastIndex == LogIndex(9))
            #expect(try allFiles(files, "/raft") == before)
            _ = try await recover(log)
            #expect(
                try Set(allFiles(files, "/raft").keys) == [
                    "/raft/directory", "/raft/snapshots/origin-10-2", "/raft/log/0000000000000001.wal",
                ])
        }
    }
}
