import RaftCore
import WriteAheadLog

/// Fill in the entries from `first` on, which are at these places, of an append that fell out of memory.
package struct ReadInput: Sendable {
    var header: Message
    var first: LogIndex
    var locations: [RecordLocation]
}

/// Reads back what followers need that are far behind, beside the log, whose writes must not wait for it.
///
/// What it is given is durable already: the log stage names places only after its fdatasync, and the reader, which has
/// files of its own, knows how far that reaches. There is one request a peer at most: the queue is as long as the
/// membership.
final class ReadStage<Machine: NodeMachine>: Stage {
    typealias Input = ReadInput

    private let reader: LogReader
    private let consensus: any Mailbox<ConsensusInput<Machine>>
    private var hasFailed = false

    init(reader: LogReader, consensus: any Mailbox<ConsensusInput<Machine>>) {
        self.reader = reader
        self.consensus = consensus
    }

    var wakeAt: UInt64? { nil }

    func process(_ inputs: inout [ReadInput], now: UInt64) {
        for input in inputs where !hasFailed { load(input) }
    }

    private func load(_ input: ReadInput) {
        do {
            var entries: [Entry] = []
            entries.reserveCapacity(input.locations.count)
            var index = input.first
            for location in input.locations {
                let (kind, payload) = try reader.read(at: location)
                let record = try payload.withUnsafeBytes { try LogRecord(kind: kind.rawValue, payload: $0) }
                guard case .entry(let entry) = record, entry.index == index else {
                    throw NodeFailure(part: .log, reason: "entry \(index.rawValue) is not where it was written")
                }
                entries.append(entry)
                index = index.next
            }
            consensus.post(.loaded(input.header.carrying(entries)))
        } catch WALError.notFound {
            // Cut meanwhile: a snapshot is what that follower needs now.
            consensus.post(.loadFailed(to: input.header.to))
        } catch {
            // What was acknowledged cannot be read back: going on would hide it.
            hasFailed = true
            consensus.post(.failed((error as? NodeFailure) ?? NodeFailure(part: .log, reason: "\(error)")))
        }
    }
}
