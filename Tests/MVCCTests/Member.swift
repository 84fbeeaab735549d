import ByteCodec
import StorageEngine

@testable import MVCC

/// One member: a state over a memory engine, with its flusher played step by step.
struct Member {
    private enum Flush {
        case idle
        case frozen(FrozenLayer)
        case committed
    }

    let engine: MemoryEngine
    var state: State
    private var flush = Flush.idle

    init(engine: MemoryEngine = MemoryEngine()) throws {
        self.engine = engine
        state = try State(store: LayeredStore(engine: engine))
    }

    /// Freezes, commits or retires, whichever is next.
    mutating func flushStep() throws {
        switch flush {
        case .idle: if let layer = try state.freeze() { flush = .frozen(layer) }
        case .frozen(let layer):
            try layer.commit(to: engine)
            flush = .committed
        case .committed:
            try state.retire()
            flush = .idle
        }
    }

    /// Until all that was applied so far is in the engine.
    mutating func flushAll() throws {
        for _ in 0..<6 { try flushStep() }
        while case .frozen = flush { try flushStep() }
        while case .committed = flush { try flushStep() }
    }

    /// What a power cut leaves: the engine as of its last commit.
    func reopened() throws -> Member { try Member(engine: MemoryEngine(image: engine.image)) }

    mutating func apply(_ command: Command, wantsAnswer: Bool = true) throws -> Outcome {
        try state.apply(
            command, at: LogPosition(index: state.applied.index + 1, term: max(1, state.applied.term)),
            wantsAnswer: wantsAnswer)
    }

    /// By way of the log's record.
    mutating func applyEncoded(_ command: Command, wantsAnswer: Bool = true) throws -> Outcome {
        let position = LogPosition(index: state.applied.index + 1, term: max(1, state.applied.term))
        return try CommandCodec.encode(command).withUnsafeBytes {
            try state.apply(encoded: $0, at: position, wantsAnswer: wantsAnswer)
        }
    }

    /// - Parameter time: the leader's clock, in milliseconds.
    mutating func apply(_ command: LeaseCommand, at time: UInt64, encoded: Bool = true) throws -> LeaseOutcome {
        let position = LogPosition(index: state.applied.index + 1, term: max(1, state.applied.term))
        guard encoded else { return try state.apply(command, stamped: LeaseTime(time), at: position) }
        var record = LeaseCommandCodec.encode(command)
        record.withUnsafeMutableBytes { LeaseCommandCodec.stamp($0, with: LeaseTime(time)) }
        return try record.withUnsafeBytes { try state.apply(leaseRecord: $0, at: position) }
    }

    mutating func apply(_ command: AlarmCommand) throws -> AlarmOutcome {
        let position = LogPosition(index: state.applied.index + 1, term: max(1, state.applied.term))
        return try AlarmCommandCodec.encode(command).withUnsafeBytes {
            try state.apply(alarmRecord: $0, at: position)
        }
    }

    mutating func compactAll() throws { while try !state.compactStep(maxRows: 3) {} }

    func rows(_ table: Table) -> Int {
        let cursor = state.storeForTest.makeCursor(table)
        var count = 0
        var more = cursor.first()
        while more {
            count += 1
            more = cursor.next()
        }
        return count
    }
}

extension Member {
    /// The checksum of all rows that there are, as the format says: once all compacted rows are gone, the hash.
    func rowsChecksum() -> UInt32 {
        var sum = CRC32C()
        let cursor = state.storeForTest.makeCursor(.versions)
        var more = cursor.first()
        while more {
            sum.update(cursor.key)
            sum.update(cursor.value)
            more = cursor.next()
        }
        return sum.value
    }
}

extension State {
    var storeForTest: LayeredView { store.view }
}

/// Texts as bytes, for tests that read better so.
func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

func put(_ key: String, _ value: String = "v", prevKV: Bool = false) -> Command {
    .put(PutOperation(key: bytes(key), value: bytes(value), prevKV: prevKV))
}

func delete(_ key: String, to end: String? = nil, prevKV: Bool = false) -> Command {
    .delete(DeleteOperation(KeyRange(key: bytes(key), rangeEnd: bytes(end ?? "")), prevKV: prevKV))
}

func query(_ key: String, to end: String? = nil, at revision: Int64 = 0) -> RangeQuery {
    var query = RangeQuery(KeyRange(key: bytes(key), rangeEnd: bytes(end ?? "")))
    query.revision = Revision(revision)
    return query
}

extension RangeAnswer {
    var keys: [String] { keyValues.map { String(decoding: $0.key, as: UTF8.self) } }
    var values: [String] { keyValues.map { String(decoding: $0.value, as: UTF8.self) } }
}

extension Outcome {
    var error: RequestError? {
        if case .failed(let error) = result { error } else { nil }
    }
    var put: PutAnswer? {
        if case .put(let answer) = result { answer } else { nil }
    }
    var deletion: DeleteAnswer? {
        if case .delete(let answer) = result { answer } else { nil }
    }
    var transaction: TransactionAnswer? {
        if case .transaction(let answer) = result { answer } else { nil }
    }
}

extension ReadView {
    func result(_ query: RangeQuery) throws -> Result<RangeAnswer, RequestError> {
        do throws(ReadError) {
            return .success(try range(query))
        } catch {
            switch error {
            case .request(let error): return .failure(error)
            case .state(let error): throw error
            }
        }
    }
}
