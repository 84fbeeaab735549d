import RaftCore
import Testing
import WriteAheadLog

@testable import Raft

/// Log and state, brought together at a start.
@Suite struct RecoveredLogTests {
    private func place(_ index: UInt64, _ term: UInt64 = 1) -> AppliedPlace {
        AppliedPlace(index: LogIndex(index), term: Term(term))
    }

    /// A log that was begun, or cut, at an index and holds nothing behind it.
    private func log(after index: UInt64) -> RecoveredLog {
        var log = RecoveredLog(retainAfter: .zero)
        log.restart(after: LogPlace(index: LogIndex(index), term: Term(1)))
        return log
    }

    @Test func `a state that was just born begins a log, whatever older one there is`() throws {
        for before in [RecoveredLog(retainAfter: .zero), log(after: 3)] {
            var log = before
            #expect(try log.reconcile(applied: place(9), origin: place(9)))
            #expect(log.lastIndex == LogIndex(9))
        }
        var same = log(after: 9)
        #expect(try !same.reconcile(applied: place(9), origin: place(9)))
    }

    @Test func `a state that has gone back to its birth does not make the log forget`() {
        // The log was cut at 20, so the state had been there; what the log holds behind it was acknowledged.
        var log = log(after: 20)
        #expect(throws: NodeFailure.self) { try log.reconcile(applied: place(9), origin: place(9)) }
        #expect(log.lastIndex == LogIndex(20))
        #expect(throws: NodeFailure.self) { try log.reconcile(applied: place(12), origin: place(9)) }
    }
}
