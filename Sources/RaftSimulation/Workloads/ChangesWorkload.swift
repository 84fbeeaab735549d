import MVCC
import Platform
import Raft
import RaftCore
import Replica

/// Clients that make history worth watching on keys of their own: puts and deletes of one key and of several at one
/// revision, transactions that read an old revision before they write (etcd issue 18667), and compactions, many of them
/// at the very revision of a delete (issue 18089).
///
/// They remember nothing: what is right is ``StoreModel``'s to say.
package final class ChangesWorkload {
    package struct Options: Sendable {
        package var clients = 2
        package var keys = 10
        package var thinkNanoseconds: UInt64 = 120_000_000
        /// One request in so many compacts.
        package var compactsOneIn = 12

        package init() {}
    }

    private let cluster: SimulatedCluster
    private let requests: ClusterRequests
    private let options: Options
    private var random: RandomSource
    private var nextValue = 1
    private var isStopped = false
    private var newestDelete: Revision?
    /// Transactions that were refused because what they read was compacted.
    package private(set) var compactedReads = 0

    package init(cluster: SimulatedCluster, seed: UInt64, options: Options) {
        self.cluster = cluster
        self.options = options
        requests = ClusterRequests(cluster: cluster, patienceNanoseconds: 1_500_000_000)
        random = RandomSource(seed: seed ^ 0xc4a6_e5)
    }

    package func start() { for _ in 0..<options.clients { think() } }

    package func stop() { isStopped = true }

    private func think() {
        cluster.queue.schedule(after: 1 + random.next() % options.thinkNanoseconds) { [self] in
            guard !isStopped else { return }
            guard cluster.queue.now >= cluster.quietUntil else {
                return cluster.queue.schedule(at: cluster.quietUntil) { [self] in think() }
            }
            guard let member = requests.door(&random), let view = member.node?.published.view.store else {
                return think()
            }
            let command = draw(view)
            requests.propose(command, through: member) { [self] outcome in
                if let outcome { note(command, outcome) }
                think()
            }
        }
    }

    private func note(_ command: Command, _ outcome: Outcome) {
        switch (command, outcome.result) {
        case (.delete, .delete(let answer)) where answer.deleted > 0: newestDelete = outcome.revision
        case (.transaction, .failed(.compacted)): compactedReads += 1
        default: break
        }
    }

    private func draw(_ view: ReadView) -> Command {
        if random.oneIn(options.compactsOneIn) { return .compact(Compaction(revision: drawCompaction(view))) }
        let key = name(random.below(options.keys))
        switch random.below(10) {
        case 0..<3: return .put(PutOperation(key: key, value: takeValue(), prevKV: random.oneIn(2)))
        case 3..<5: return .delete(DeleteOperation(KeyRange(key: key), prevKV: random.oneIn(2)))
        case 5: return .delete(DeleteOperation(drawRange(), prevKV: true))
        case 6..<8: return .transaction(drawWrites())
        default: return .transaction(drawReadOfThePast(view))
        }
    }

    /// Mostly where the last delete is, so that it is the oldest that history has.
    private func drawCompaction(_ view: ReadView) -> Revision {
        if let newestDelete, newestDelete > view.compactRevision, !random.oneIn(3) { return newestDelete }
        return Revision(max(1, view.revision.rawValue - Int64(random.below(30))))
    }

    /// Several keys at one revision; none of them twice.
    private func drawWrites() -> Transaction {
        let first = random.below(options.keys)
        var operations: [Operation] = (0..<1 + random.below(5)).map { offset in
            .put(PutOperation(key: name((first + offset) % options.keys), value: takeValue()))
        }
        let other = name((first + 6) % options.keys)
        operations.append(.delete(DeleteOperation(KeyRange(key: other))))
        return Transaction(
            comparisons: [
                Comparison(KeyRange(key: other), random.oneIn(2) ? .greater : .equal, .createRevision(0))
            ], success: operations,
            failure: [.put(PutOperation(key: other, value: takeValue()))])
    }

    /// All or nothing of what follows the read depends on whether members still read that revision.
    private func drawReadOfThePast(_ view: ReadView) -> Transaction {
        var query = RangeQuery(random.oneIn(2) ? Self.all : drawRange())
        let compacted = max(1, view.compactRevision.rawValue)
        switch random.below(5) {
        case 0: query.revision = Revision(max(1, compacted - 1))
        case 1: query.revision = Revision(compacted)
        case 2: query.revision = Revision(compacted + 1)
        case 3: query.revision = view.revision
        default:
            query.revision = Revision(compacted + Int64(random.below(Int(view.revision.rawValue - compacted) + 4)))
        }
        return Transaction(
            success: [.range(query), .put(PutOperation(key: name(random.below(options.keys)), value: takeValue()))])
    }

    private static let all = KeyRange(key: Array("note/".utf8), end: .upTo(Array("note0".utf8)))

    private func drawRange() -> KeyRange {
        let first = random.below(options.keys)
        return KeyRange(key: name(first), end: .upTo(name(first + 1 + random.below(4))))
    }

    /// In the order of their numbers.
    private func name(_ number: Int) -> [UInt8] { Array("note/\(number < 10 ? "0" : "")\(number)".utf8) }

    private func takeValue() -> [UInt8] {
        defer { nextValue += 1 }
        return Array("\(nextValue)".utf8)
    }
}
