import Testing

@testable import Raft

extension LibraryTests {
    @Test(arguments: 0..<5)
    func `a thread that the system refuses ends the start with an error, and leaves nothing behind`(
        given: Int
    ) async throws {
        let log = RaftLog.memory()
        let before = ProcessUse.threads
        let refused = RaftMember.alone(log, quickOptions { $0.makeWorld = { ThreadWorld(threadsMax: given) } })
        let error = await #expect(throws: RaftError.self) { try await refused.start() }
        guard case .systemRefused? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        // Detached threads end a little later.
        #expect(try await eventually { ProcessUse.threads <= before })
        let member = RaftMember.alone(log)
        try await member.start()
        try await member.put("a", "1")
        await member.stop()
    }
}
