import RaftCore
import Synchronization
import WriteAheadLog

/// Makes the core's writes durable: everything that has gathered goes to the disk at once, with one fdatasync (group
/// commit).
final class LogStage<Machine: NodeMachine>: Stage {
    typealias Input = LogInput

    struct Outlets: Sendable {
        var consensus: any Mailbox<ConsensusInput<Machine>>
        var read: any Mailbox<ReadInput>
        var published: PublishedState<Machine.View>
        var world: any World
        var options: NodeOptions
    }

    private var log: WriteAheadLog
    private let outlets: Outlets
    private var consensus: any Mailbox<ConsensusInput<Machine>> { outlets.consensus }
    /// Where each entry is, from the one after ``base`` on.
    private var locations: [RecordLocation]
    private var base: LogPlace
    private var terms: TermRuns
    private var failure: NodeFailure?
    private var sealAt: UInt64?
    private var lastLook: UInt64 = 0

    init(
        log: consuming WriteAheadLog, recovered: RecoveredLog, base: LogPlace,
        outlets: Outlets
    ) {
        self.log = log
        self.log.preamble = [
            PreambleRecord(
                kind: LogRecordKind.hardState.record, payload: LogRecord.encode(recovered.hardState))
        ]
        self.outlets = outlets
        self.base = base
        locations = recovered.locations
        terms = TermRuns(base: base)
        var index = base.index
        for summary in recovered.summaries {
            index = index.next
            terms.append(LogPlace(index: index, term: summary.term))
        }
    }

    /// After so long without a write the log proves to later readers that its last batch was whole.
    private static var sealAfterNanoseconds: UInt64 { 1_000_000_000 }

    // Also without anything to seal: a batch may be worked off on another thread, which does not wake ours.
    var wakeAt: UInt64? { failure == nil ? sealAt ?? lastLook + Self.sealAfterNanoseconds : nil }

    func process(_ inputs: inout [LogInput], now: UInt64) {
        guard failure == nil else { return }
        lastLook = now
        do {
            if inputs.isEmpty, let due = sealAt, now >= due {
                try log.seal()
                sealAt = nil
                return
            }
            var lastWrite: WriteID?
            for input in inputs {
                if case .write(let id, let write) = input {
                    try append(write)
                    lastWrite = id
                }
            }
            if let lastWrite {
                let start = outlets.world.now()
                try log.synchronize()
                let taken = outlets.world.now() - start
                outlets.published.lastSyncNanoseconds.store(taken, ordering: .relaxed)
                outlets.published.logSyncs.record(taken)
                consensus.post(.persisted(lastWrite))
                sealAt = now + Self.sealAfterNanoseconds
            }
            for input in inputs {
                switch input {
                case .write: break
                case .load(let header, let first, let end): load(header, first: first, end: end)
                case .cut(let index): try cut(upTo: index)
                }
            }
        } catch {
            if outlets.options.acknowledgesFailedWrites, case .write(let id, _)? = inputs.last {
                return consensus.post(.persisted(id))
            }
            let failure = NodeFailure(part: .log, reason: "\(error)")
            self.failure = failure
            consensus.post(.failed(failure))
        }
    }

    private func append(_ write: Write) throws(WALError) {
        if let snapshot = write.snapshot {
            base = LogPlace(index: snapshot.index, term: snapshot.term)
            terms = TermRuns(base: base)
            locations = []
            if !outlets.options.snapshotWithoutLogReset { try append(.base, LogRecord.encode(base)) }
        }
        // The hard state goes before the entries: should the batch be torn, a term without its entries is harmless,
        // entries of a term that was never entered are not.
        if var state = write.hardState {
            if outlets.options.votesAreNotPersisted { state.votedFor = nil }
            // Every segment starts with the newest one, so that older segments can go. It is written over the one
            // before: nearly every write has one, since the commit index moves.
            log.preamble[0].payload.withUnsafeMutableBytes { LogRecord.write(state, to: $0) }
            _ = try log.append(kind: LogRecordKind.hardState.record, byteCount: LogRecord.hardStateBytes) {
                LogRecord.write(state, to: $0)
            }
        }
        for entry in write.entries {
            precondition(
                entry.index > base.index && entry.index <= terms.last.index.next,
                "entry \(entry.index.rawValue) after \(terms.last.index.rawValue)")
            terms.truncate(from: entry.index)
            locations.removeSubrange(Int(entry.index.rawValue - base.index.rawValue - 1)...)
            let location = try log.append(
                kind: LogRecordKind.entry.record, byteCount: LogRecord.entryHeadBytes + entry.payload.count
            ) { LogRecord.write(entry, to: $0) }
            terms.append(LogPlace(index: entry.index, term: entry.term))
            locations.append(location)
        }
    }

    private func append(_ kind: LogRecordKind, _ payload: [UInt8]) throws(WALError) {
        _ = try log.append(kind: kind.record, payload)
    }

    /// Has an append's entries read from the disk, as many as fit the message that the core sized.
    private func load(_ header: Message, first: LogIndex, end: LogIndex) {
        guard first > base.index, first < end, end <= terms.last.index.next else {
            return outlets.consensus.post(.loadFailed(to: header.to))
        }
        let start = Int(first.rawValue - base.index.rawValue - 1)
        let count = Int(end.rawValue - first.rawValue)
        outlets.read.post(
            ReadInput(header: header, first: first, locations: Array(locations[start..<start + count])))
    }

    private func cut(upTo index: LogIndex) throws(WALError) {
        guard index > base.index, index < terms.last.index, let term = terms.term(at: index) else { return }
        let count = Int(index.rawValue - base.index.rawValue)
        let firstKept = locations[count]
        base = LogPlace(index: index, term: term)
        locations.removeFirst(count)
        terms.cut(base: base)
        // Durable before anything goes: recovery must know where the log starts, whatever the oldest segment says.
        try append(.cut, LogRecord.encode(base))
        try log.synchronize()
        try log.cut(before: firstKept)
    }
}
