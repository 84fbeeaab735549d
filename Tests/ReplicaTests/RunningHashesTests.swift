import MVCC
import RaftCore
import StorageEngine
import Testing

@testable import Replica

@Suite struct RunningHashesTests {
    /// Different ones: what puts make of a state.
    private func hashes(_ count: Int) throws -> [RunningHash] {
        var state = try State(store: LayeredStore(engine: MemoryEngine()))
        return try (1...count).map { index in
            let put = PutOperation(key: [1], value: Array("\(index)".utf8))
            _ = try state.apply(.put(put), at: LogPosition(index: UInt64(index), term: 1))
            return state.runningHash
        }
    }

    @Test func `the newest are remembered by their entries`() throws {
        let hashes = try hashes(10)
        let remembered = RunningHashes()
        #expect(remembered.newest == nil && remembered.answer(at: LogIndex(1)) == .behind)
        remembered.note(Array(hashes[..<4]), upTo: LogIndex(14))
        remembered.note([], upTo: LogIndex(14))
        remembered.note(Array(hashes[4...]), upTo: LogIndex(20))
        #expect(remembered.answer(at: LogIndex(10)) == .forgotten)
        for place in 0..<10 { #expect(remembered.answer(at: LogIndex(UInt64(11 + place))) == .hash(hashes[place])) }
        #expect(remembered.answer(at: LogIndex(21)) == .behind)
        #expect(remembered.newest?.index == LogIndex(20) && remembered.newest?.hash == hashes[9])
    }

    @Test func `after a gap or a snapshot what was before is forgotten`() throws {
        let hashes = try hashes(3)
        let remembered = RunningHashes()
        remembered.note([hashes[0]], upTo: LogIndex(5))
        remembered.note([hashes[1]], upTo: LogIndex(9))
        #expect(remembered.answer(at: LogIndex(5)) == .forgotten)
        #expect(remembered.answer(at: LogIndex(9)) == .hash(hashes[1]))
        remembered.forget(upTo: LogIndex(30))
        #expect(remembered.newest == nil)
        #expect(remembered.answer(at: LogIndex(30)) == .forgotten && remembered.answer(at: LogIndex(31)) == .behind)
        remembered.note([hashes[2]], upTo: LogIndex(31))
        #expect(remembered.answer(at: LogIndex(31)) == .hash(hashes[2]))
        #expect(remembered.answer(at: LogIndex(30)) == .forgotten)
    }

    @Test func `only so many are remembered`() throws {
        let hashes = try hashes(7)
        let remembered = RunningHashes()
        var index: UInt64 = 0
        for round in 0..<3 {
            let batch = (0..<RunningHashes.entriesMax - 5).map { hashes[($0 + round) % 7] }
            index += UInt64(batch.count)
            remembered.note(batch, upTo: LogIndex(index))
            #expect(remembered.answer(at: LogIndex(index)) == .hash(try #require(batch.last)))
            #expect(remembered.answer(at: LogIndex(index - 100)) == .hash(batch[batch.count - 101]))
        }
        let oldest = index - UInt64(RunningHashes.entriesMax) + 1
        #expect(remembered.answer(at: LogIndex(oldest - 1)) == .forgotten)
        guard case .hash = remembered.answer(at: LogIndex(oldest)) else {
            Issue.record("the oldest is forgotten too early")
            return
        }
    }
}
