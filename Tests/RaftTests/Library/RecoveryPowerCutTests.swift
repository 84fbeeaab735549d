import Platform
import PlatformSimulation
import RaftCore
import Testing

@testable import Raft

extension LibraryTests {
    /// The power goes at every call of a recovery that changes something.
    @Suite struct RecoveryPowerCutTests {
        typealias Member = RaftMember<KeyValues>

        /// A disk with a member alone in its cluster: a snapshot, and a log that goes on behind it.
        private static func oldDisk() async throws -> SimulatedDisk {
            let disk = SimulatedDisk(seed: 1, model: CrashModel(tearsWithinSectors: true))
            let member = Member.alone(log(disk), quickOptions { $0.segmentBytes = 64 << 10 })
            try await member.start()
            for number in 0..<40 { try await member.put("k\(number)", String(repeating: "v", count: 2_000)) }
            try await member.takeSnapshot()
            for number in 40..<80 { try await member.put("k\(number)", String(repeating: "v", count: 2_000)) }
            await member.stop()
            return disk
        }

        private static func log(_ disk: SimulatedDisk) -> RaftLog { RaftLog(place: .memory(disk)) }

        private static func recover(_ disk: SimulatedDisk) async throws(RaftError) -> LogIndex {
            try await Member.recover(
                id: 1, log: log(disk), stateMachine: KeyValues(), members: [RaftPeer(id: 1, address: "here")],
                clusterName: "raft", newClusterName: "raft-2")
        }

        private enum Start: Hashable {
            case runs, unfinished, foreign
        }

        /// What comes of a start on a copy of the disk. One that succeeds has everything, and goes on.
        private static func start(_ disk: SimulatedDisk, _ name: String) async throws -> Start {
            let member = Member.alone(log(disk.fork(seed: 1)), quickOptions { $0.clusterName = name })
            do {
                try await member.start()
            } catch {
                switch error {
                case .recoveryUnfinished: return .unfinished
                case .foreignDirectory: return .foreign
                default: throw error
                }
            }
            #expect(try await member.read { $0.values.count } == 80)
            try await member.put("more", "1")
            #expect(member.members.first?.address == (name == "raft" ? "" : "here"))
            await member.stop()
            return .runs
        }

        @Test func `each moment leaves the old life, the new one, or what another run makes the new one`()
            async throws
        {
            let old = try await Self.oldDisk()
            let last = try await Self.log(old.fork(seed: 1)).inspect(as: 1, clusterName: "raft").lastIndex
            let whole = old.fork(seed: 1)
            let index = try await Self.recover(whole)
            #expect(index == last.next)
            let calls = whole.changingCalls - old.changingCalls
            #expect(calls > 20)

            var seen: [[Start]: Int] = [:]
            for call in 0..<calls {
                for seed in UInt64(0)..<3 {
                    let disk = old.fork(seed: UInt64(call) * 100 + seed)
                    // The second time at another call, the third time not at all.
                    for cut in [call, (call * 7 + Int(seed) * 13) % calls] {
                        disk.inject(FaultPlan(powerCutAfter: cut))
                        let done = try? await Self.recover(disk)
                        #expect(done == nil || done == index)
                        disk.crash()
                        let starts = [try await Self.start(disk, "raft"), try await Self.start(disk, "raft-2")]
                        seen[starts, default: 0] += 1
                    }
                    #expect(try await Self.recover(disk) == index)
                    #expect(try await Self.start(disk, "raft") == .foreign)
                    #expect(try await Self.start(disk, "raft-2") == .runs)
                }
            }
            // All three were met, and nothing else.
            #expect(Set(seen.keys) == [[.runs, .foreign], [.unfinished, .unfinished], [.foreign, .runs]], "\(seen)")
        }

        @Test func `a disk that fails at any call stops it, and it can be run again`() async throws {
            let old = try await Self.oldDisk()
            let whole = old.fork(seed: 1)
            let index = try await Self.recover(whole)
            let kinds: [FaultPlan.Operation] = [
                .read, .write, .synchronize, .synchronizeDirectory, .create, .rename, .remove,
            ]
            for kind in kinds {
                for occurrence in 1...100 {
                    let disk = old.fork(seed: UInt64(occurrence))
                    disk.inject(FaultPlan(faults: [.init(kind, occurrence: occurrence)]))
                    let failed = disk.failedCalls
                    do throws(RaftError) {
                        #expect(try await Self.recover(disk) == index)
                    } catch {
                        guard case .cannotOpen("/raft", _) = error else {
                            Issue.record("\(kind), \(occurrence): \(error)")
                            continue
                        }
                    }
                    // That many calls of this kind there are not.
                    if disk.failedCalls == failed { break }
                    disk.inject(FaultPlan())
                    #expect(try await Self.recover(disk) == index)
                    #expect(try await Self.start(disk, "raft-2") == .runs)
                }
            }
        }

        @Test func `a disk that is full keeps the old life`() async throws {
            let disk = try await Self.oldDisk().fork(seed: 1)
            disk.inject(FaultPlan(capacityBytes: disk.usedBytes + 50_000))
            await #expect(throws: RaftError.self) { try await Self.recover(disk) }
            #expect(try await Self.log(disk).inspect(as: 1, clusterName: "raft").isRecoveryUnfinished == false)
            disk.inject(FaultPlan())
            #expect(try await Self.start(disk, "raft") == .runs)
        }
    }
}
