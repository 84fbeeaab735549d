import RaftSimulation
import Testing

/// The checkers must know right from wrong: histories that are one or the other by construction.
@Suite struct CheckerTests {
    private func operation(
        _ client: Int, _ action: KeyValueAction, _ outcome: KeyValueOutcome?, _ called: UInt64, _ returned: UInt64?,
        revision: Int64? = nil
    ) -> HistoryOperation {
        var operation = HistoryOperation(
            client: client, action: action, outcome: outcome, called: called, returned: returned)
        operation.revision = revision
        return operation
    }

    private func isLinearizable(_ history: [HistoryOperation]) -> Bool {
        do throws(LinearizabilityChecker.Violation) {
            return try LinearizabilityChecker.check(history, group: { _ in 0 }) == .linearizable
        } catch {
            return false
        }
    }

    @Test func `reads that agree with the writes before them can be ordered`() {
        #expect(
            isLinearizable([
                operation(1, .write(key: 0, value: 1), .done, 1, 4),
                operation(2, .read(keys: [0]), .values([0]), 2, 3),
                operation(2, .read(keys: [0]), .values([1]), 5, 6),
            ]))
    }

    @Test func `a read that goes back in time is found`() {
        #expect(
            !isLinearizable([
                operation(1, .write(key: 0, value: 1), .done, 1, 2),
                operation(1, .write(key: 0, value: 2), .done, 3, 4),
                operation(2, .read(keys: [0]), .values([1]), 5, 6),
            ]))
    }

    @Test func `a write of unknown fate may have happened, at any time, or never`() {
        let unknown = operation(1, .write(key: 0, value: 1), nil, 1, nil)
        #expect(isLinearizable([unknown, operation(2, .read(keys: [0]), .values([0]), 5, 6)]))
        #expect(
            isLinearizable([
                unknown, operation(2, .read(keys: [0]), .values([0]), 5, 6),
                operation(2, .read(keys: [0]), .values([1]), 7, 8),
            ]))
        #expect(
            !isLinearizable([
                unknown, operation(2, .read(keys: [0]), .values([1]), 5, 6),
                operation(2, .read(keys: [0]), .values([0]), 7, 8),
            ]))
    }

    @Test func `a comparison that failed and should have held is found`() {
        #expect(
            !isLinearizable([
                operation(1, .write(key: 0, value: 1), .done, 1, 2),
                operation(
                    2, .compareAndWrite(key: 0, expected: 1, writes: [KeyedValue(key: 1, value: 2)]),
                    .compared(false), 3, 4),
            ]))
    }

    @Test func `a read of two keys is one moment`() {
        #expect(
            !isLinearizable([
                operation(
                    1,
                    .compareAndWrite(
                        key: 0, expected: 0,
                        writes: [
                            KeyedValue(key: 0, value: 1), KeyedValue(key: 1, value: 2),
                        ]), .compared(true), 1, 10),
                operation(2, .read(keys: [0, 1]), .values([1, 0]), 2, 3),
            ]))
    }

    /// Forty writes that all overlap, of which half have an unknown end: no search gets through their orders.
    private var tangled: [HistoryOperation] {
        (1...40).map { number in
            let isKnown = number % 2 == 0
            return operation(
                number, .write(key: 0, value: number), isKnown ? .done : nil, UInt64(number), isKnown ? 1_000 : nil,
                revision: Int64(number))
        }
    }

    private func verdict(
        _ history: [HistoryOperation], place: @escaping (HistoryOperation) -> Int64?
    ) throws -> LinearizabilityChecker.Verdict {
        try LinearizabilityChecker.check(history, group: { _ in 0 }, place: place, statesMax: 2_000)
    }

    @Test func `an order that is claimed and holds decides a history that is too tangled to search`() throws {
        let reads = (1...20).map { operation(100 + $0, .read(keys: [0]), .values([40]), 2_000, 2_001, revision: 40) }
        // A read of a value that nobody is known to have written last.
        let early = operation(99, .read(keys: [0]), .values([8]), 500, 900, revision: 8)
        let history = tangled + [early] + reads
        #expect(try verdict(history, place: \.revision) == .linearizable)
        #expect(try verdict(history, place: { _ in nil }) == .undecided)
    }

    @Test func `an order that is claimed and does not hold is not believed`() throws {
        let write = operation(1, .write(key: 0, value: 1), .done, 1, 2, revision: 2)
        let stale = operation(2, .read(keys: [0]), .values([0]), 3, 4, revision: 1)
        #expect(throws: LinearizabilityChecker.Violation.self) { try verdict([write, stale], place: \.revision) }
        // The claim is wrong, the history is not: it is searched.
        let read = operation(2, .read(keys: [0]), .values([1]), 3, 4, revision: 1)
        #expect(try verdict([write, read], place: \.revision) == .linearizable)
        // Neither is an order by which something comes after what began when it had ended.
        let late = operation(3, .write(key: 0, value: 2), .done, 5, 6, revision: 1)
        let last = operation(2, .read(keys: [0]), .values([1]), 7, 8, revision: 2)
        #expect(throws: LinearizabilityChecker.Violation.self) { try verdict([write, late, last], place: \.revision) }
    }

    private func violation(_ applied: [RevisionChecker.AppliedWrite], _ history: [HistoryOperation]) -> String? {
        do throws(RevisionChecker.Violation) {
            try RevisionChecker(applied: applied).check(history)
            return nil
        } catch {
            return error.description
        }
    }

    private func write(_ key: Int, _ value: Int) -> RevisionChecker.AppliedWrite {
        .init(comparison: nil, writes: [KeyedValue(key: key, value: value)])
    }

    @Test func `revisions that agree with the log and with time pass`() {
        #expect(
            violation(
                [write(0, 1), write(0, 2)],
                [
                    operation(1, .write(key: 0, value: 1), .done, 1, 2, revision: 2),
                    operation(1, .write(key: 0, value: 2), .done, 3, 4, revision: 3),
                    operation(2, .read(keys: [0]), .values([2]), 5, 6, revision: 3),
                ]) == nil)
    }

    @Test func `an acknowledged write that was never applied is found`() {
        #expect(violation([], [operation(1, .write(key: 0, value: 1), .done, 1, 2, revision: 2)]) != nil)
    }

    @Test func `a proposal applied twice is found`() {
        #expect(violation([write(0, 1), write(0, 1)], []) != nil)
    }

    @Test func `a stale read is found by its revision`() {
        #expect(
            violation(
                [write(0, 1), write(0, 2)],
                [
                    operation(1, .write(key: 0, value: 2), .done, 1, 2, revision: 3),
                    operation(2, .read(keys: [0]), .values([1]), 3, 4, revision: 2),
                ]) != nil)
    }
}
