import Foundation
import Raft
import TestSupport
import Testing

extension LibraryTests {
    /// A member that has lost its directory could vote twice in a term, or deny what it has acknowledged.
    @Suite struct LostDirectories {
        private func member(
            _ id: NodeID, _ list: [RaftPeer], _ directory: TemporaryDirectory
        ) -> RaftMember<KeyValues> {
            RaftMember(
                id: id, cluster: .new(list), log: .directory(directory.path), transport: .tcp(),
                stateMachine: KeyValues(), options: quickOptions())
        }

        private func end(of member: RaftMember<KeyValues>) async throws -> RaftFailure? {
            _ = try await eventually { member.failure != nil }
            return member.failure
        }

        @Test func `a member that comes back with an empty directory under its old id is refused and ends`()
            async throws
        {
            let list = (1...3).map { RaftPeer(id: NodeID(UInt64($0)), address: FreePorts.address()) }
            let directories = try (1...3).map { _ in try TemporaryDirectory() }
            let members = list.indices.map { member(list[$0].id, list, directories[$0]) }
            for member in members { try await member.start() }
            try await members[0].put("a", "1")
            #expect(try await members[2].get("a") == "1")
            // Should it lead: what is passed on to a leader that has just gone ends by its deadline.
            await members[2].stop(handingOver: true)

            let emptied = member(3, list, try TemporaryDirectory())
            try await emptied.start()
            #expect(try await end(of: emptied)?.part == .membership)
            await #expect(throws: RaftError.self) { try await emptied.put("a", "2") }
            await emptied.stop()
            // The others go on, and know their member when it has its own directory.
            try await members[1].put("a", "3")
            let returned = member(3, list, directories[2])
            try await returned.start()
            #expect(try await eventually { try await returned.get("a") == "3" })
            for member in [members[0], members[1], returned] { await member.stop() }
        }

        @Test func `a directory without its register, or with a damaged one, is refused`() async throws {
            let directory = try TemporaryDirectory()
            let list = [RaftPeer(id: 1, address: FreePorts.address())]
            let first = member(1, list, directory)
            try await first.start()
            try await first.put("a", "1")
            await first.stop()
            let file = URL(fileURLWithPath: directory.path).appendingPathComponent("directory")
            var bytes = try Data(contentsOf: file)
            try FileManager.default.removeItem(at: file)
            func refusal() async -> RaftError? {
                let member = member(1, list, directory)
                do throws(RaftError) {
                    try await member.start()
                    await member.stop()
                    return nil
                } catch {
                    return error
                }
            }
            for _ in 0..<2 {
                let error = await refusal()
                guard case .damagedDirectory? = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                bytes[12] ^= 1
                try bytes.write(to: file)
            }
            // As it was.
            #expect(await refusal() == nil)
        }
    }
}
