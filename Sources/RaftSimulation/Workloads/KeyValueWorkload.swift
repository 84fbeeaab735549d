import MVCC
import Platform
import Raft
import RaftCore
import Replica

/// Clients that put, read and compare-and-write on few keys through any member, and remember what they asked, when, and
/// what they were told. Keys come in groups; an operation stays inside one.
package final class KeyValueWorkload {
    package struct Options: Sendable {
        package var clients = 5
        package var groups = 4
        package var keysPerGroup = 3
        package var thinkNanoseconds: UInt64 = 40_000_000
        package var valueBytes = 40
        /// Each member is asked for a read so often, by somebody who does not wait for the answer: a member that must
        /// not answer is the one that nobody patient asks.
        package var probeNanoseconds: UInt64 = 300_000_000
        /// A client whose request was not answered for so long gives up, and goes on under another name. Where
        /// leaders fall one after the other, patient clients soon all wait for answers that were lost.
        package var patienceNanoseconds: UInt64 = 9_000_000_000
        /// Old revisions are removed now and then.
        package var compacts = false

        package init() {}
    }

    package private(set) var history: [HistoryOperation] = []
    package private(set) var acknowledged = 0
    private let cluster: SimulatedCluster
    private let options: Options
    private var random: RandomSource
    private var nextValue = 1
    private(set) var isStopped = false
    private var nextClientName: Int

    package init(cluster: SimulatedCluster, options: Options) {
        self.cluster = cluster
        self.options = options
        random = cluster.queue.random.fork()
        nextClientName = options.clients
    }

    package func start() {
        for client in 0..<options.clients { think(client) }
        probe()
    }

    private func probe() {
        cluster.queue.schedule(after: options.probeNanoseconds) { [self] in
            guard !isStopped else { return }
            for member in cluster.members where member.isRunning {
                nextClientName += 1
                perform(.read(keys: [key(random.below(options.groups))]), client: nextClientName, on: member) { _ in }
            }
            probe()
        }
    }

    package func stop() { isStopped = true }

    /// From now on clients wait as long as a slow disk may take: whether the cluster answers at all is what is asked.
    package var isPatient = false

    private func think(_ client: Int) {
        cluster.queue.schedule(after: 1 + random.next() % options.thinkNanoseconds) { [self] in
            guard !isStopped else { return }
            guard cluster.queue.now >= cluster.quietUntil else {
                return cluster.queue.schedule(at: cluster.quietUntil) { [self] in think(client) }
            }
            act(client)
        }
    }

    private func key(_ group: Int) -> Int { group * options.keysPerGroup + random.below(options.keysPerGroup) }

    package func group(of key: Int) -> Int { key / options.keysPerGroup }

    /// Mostly a member; now and then one that was removed, or that nobody has added yet.
    private func door() -> SimulatedMember {
        let present = cluster.members.filter { cluster.isPresent($0) }
        if present.isEmpty || random.oneIn(20) { return cluster.members[random.below(cluster.members.count)] }
        return present[random.below(present.count)]
    }

    /// One write by a client that does nothing else.
    package func write(on member: SimulatedMember) {
        nextClientName += 1
        perform(
            .write(key: key(random.below(options.groups)), value: takeValue()), client: nextClientName, on: member
        ) { _ in }
    }

    private func compact() {
        guard let node = door().node else { return }
        let revision = node.published.view.store.revision.rawValue
        guard revision > 20 else { return }
        propose(.compact(Compaction(revision: Revision(revision - Int64(random.below(20))))), to: node) { _ in }
    }

    private func act(_ client: Int) {
        if options.compacts, random.oneIn(30) { compact() }
        let group = random.below(options.groups)
        let action: KeyValueAction
        switch random.below(10) {
        case 0..<4:
            action = .write(key: key(group), value: takeValue())
        case 4..<7:
            let first = key(group)
            let second = key(group)
            action = .read(keys: first == second ? [first] : [first, second])
        default:
            let compared = key(group)
            let target = key(group)
            // Half the time what the key held when it was last looked at, so that comparisons hold as well as fail.
            let expected = random.oneIn(2) ? lastSeen[compared] ?? 0 : random.below(max(nextValue, 1))
            var writes = [KeyedValue(key: target, value: takeValue())]
            let other = key(group)
            if other != target { writes.append(KeyedValue(key: other, value: takeValue())) }
            action = .compareAndWrite(key: compared, expected: expected, writes: writes)
        }
        perform(action, client: client, on: door()) { [self] name in
            think(name)
        }
    }

    private var lastSeen: [Int: Int] = [:]

    private func takeValue() -> Int {
        defer { nextValue += 1 }
        return nextValue
    }

    /// Does one thing through one member; `done` is told under which name the client goes on.
    package func perform(
        _ action: KeyValueAction, client: Int, on member: SimulatedMember,
        done: @escaping (Int) -> Void
    ) {
        guard let node = member.node else { return done(client) }
        let place = history.count
        history.append(
            HistoryOperation(client: client, action: action, outcome: nil, called: cluster.queue.now, returned: nil))
        let call = OpenCall()
        let finish: (KeyValueOutcome?, Revision?) -> Void = { [self] outcome, revision in
            guard call.isOpen else { return }
            call.isOpen = false
            if let outcome {
                history[place].outcome = outcome
                history[place].returned = cluster.queue.now
                history[place].revision = revision?.rawValue
                acknowledged += 1
                cluster.record(UInt64(place))
                remember(action, outcome)
                done(client)
            } else {
                // Nobody knows what became of it: it may still happen, so this name does nothing any more.
                nextClientName += 1
                done(nextClientName)
            }
        }
        let patience = isPatient ? max(options.patienceNanoseconds, 5_000_000_000) : options.patienceNanoseconds
        cluster.queue.schedule(after: patience) { finish(nil, nil) }
        switch action {
        case .read(let keys):
            let sink = SimulatedSink<ReplicaView> { [self] answer in
                guard case .success(let view) = answer else { return finish(nil, nil) }
                finish(read(keys, from: view.store), view.store.revision)
            }
            node.read(Ticket(sink: sink, token: 0))
        case .write(let key, let value):
            propose(.put(PutOperation(key: name(key), value: encode(value))), to: node) { outcome in
                guard case .put? = outcome?.result else { return finish(nil, nil) }
                finish(.done, outcome?.revision)
            }
        case .compareAndWrite(let key, let expected, let writes):
            let comparison =
                expected == 0
                ? Comparison(KeyRange(key: name(key)), .equal, .version(0))
                : Comparison(KeyRange(key: name(key)), .equal, .value(encode(expected)))
            let transaction = Transaction(
                comparisons: [comparison],
                success: writes.map { .put(PutOperation(key: name($0.key), value: encode($0.value))) })
            propose(.transaction(transaction), to: node) { outcome in
                guard case .transaction(let answer)? = outcome?.result else { return finish(nil, nil) }
                finish(.compared(answer.succeeded), outcome?.revision)
            }
        }
    }

    private final class OpenCall {
        var isOpen = true
    }

    private func propose(
        _ command: Command, to node: RaftNode<ObservedMachine>, _ done: @escaping (Outcome?) -> Void
    ) {
        var payload = CommandCodec.encode(command, prefixBytes: ProposalID.encodedBytes + 1)
        payload[ProposalID.encodedBytes] = CommandRoom.keyValue.rawValue
        let sink = SimulatedSink<ReplicaResult> { answer in
            guard case .success(.keyValue(let outcome)) = answer else { return done(nil) }
            done(outcome)
        }
        node.propose(CommandProposal(payload: payload, ticket: Ticket(sink: sink, token: 0)))
    }

    private func read(_ keys: [Int], from view: ReadView) -> KeyValueOutcome? {
        var values: [Int] = []
        for key in keys {
            do {
                let answer = try view.range(RangeQuery(KeyRange(key: name(key))))
                values.append(answer.keyValues.first.map { decode($0.value) } ?? 0)
            } catch {
                cluster.fail("a read failed: \(error)")
                return nil
            }
        }
        return .values(values)
    }

    private func remember(_ action: KeyValueAction, _ outcome: KeyValueOutcome) {
        switch (action, outcome) {
        case (.read(let keys), .values(let values)):
            for (key, value) in zip(keys, values) { lastSeen[key] = value }
        case (.write(let key, let value), _): lastSeen[key] = value
        case (.compareAndWrite(_, _, let writes), .compared(true)):
            for write in writes { lastSeen[write.key] = write.value }
        default: break
        }
    }

    /// What the applied log asked of the keys, for the checker's model.
    package func appliedWrites() -> [RevisionChecker.AppliedWrite] {
        var applied: [RevisionChecker.AppliedWrite] = []
        var revision: Int64 = 1
        for (command, revisionAfter) in cluster.appliedCommands {
            defer { revision = revisionAfter }
            let revisions = revisionAfter - revision
            guard command.first == CommandRoom.keyValue.rawValue else {
                applied.append(.foreign(revisions))
                continue
            }
            do {
                let decoded = try command.withUnsafeBytes {
                    try CommandCodec.decode(UnsafeRawBufferPointer(rebasing: $0[1...]))
                }
                if let write = ownWrite(decoded) {
                    applied.append(write)
                } else {
                    applied.append(.foreign(revisions))
                }
            } catch {
                cluster.fail("an applied command cannot be decoded: \(error)")
            }
        }
        return applied
    }

    /// nil: nothing of this workload's.
    private func ownWrite(_ command: Command) -> RevisionChecker.AppliedWrite? {
        switch command {
        case .put(let put) where isOwn(put.key): return .init(comparison: nil, writes: [keyedValue(put)])
        case .transaction(let transaction):
            guard let comparison = transaction.comparisons.first, isOwn(comparison.range.key) else { return nil }
            var expected = 0
            if case .value(let bytes) = comparison.operand { expected = decode(bytes) }
            return .init(
                comparison: KeyedValue(key: number(comparison.range.key), value: expected),
                writes: transaction.success.compactMap { operation in
                    if case .put(let put) = operation { keyedValue(put) } else { nil }
                })
        case .put, .delete, .compact: return nil
        }
    }

    private func isOwn(_ key: [UInt8]) -> Bool { key.starts(with: Self.prefix) }
    private static let prefix = Array("key/".utf8)

    private func keyedValue(_ put: PutOperation) -> KeyedValue {
        KeyedValue(key: number(put.key), value: decode(put.value))
    }

    private func name(_ key: Int) -> [UInt8] { Array("key/\(key)".utf8) }

    private func number(_ name: [UInt8]) -> Int {
        Int(String(decoding: name.dropFirst("key/".utf8.count), as: UTF8.self)) ?? -1
    }

    private func encode(_ value: Int) -> [UInt8] {
        let digits = Array("\(value)".utf8)
        return digits + [UInt8](repeating: UInt8(ascii: " "), count: max(0, options.valueBytes - digits.count))
    }

    private func decode(_ bytes: [UInt8]) -> Int {
        Int(String(decoding: bytes.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)) ?? -1
    }
}

/// Takes one answer on the simulation's thread.
final class SimulatedSink<Answer: Sendable>: ReplySink, @unchecked Sendable {
    private let take: (Result<Answer, RequestFailure>) -> Void

    init(_ take: @escaping (Result<Answer, RequestFailure>) -> Void) { self.take = take }

    func deliver(_ replies: [Reply<Answer>]) { for reply in replies { take(reply.answer) } }
}
