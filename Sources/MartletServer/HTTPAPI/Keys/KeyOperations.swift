import MVCC
import NIOCore
import Raft
import Replica

/// How new what is read has to be.
enum ReadLevel: String, CaseIterable, Sendable {
    /// What this member has, which may be old; needs no leader.
    case stale
    /// All that was acknowledged before.
    case `default`
    /// The same: raftd's leader answered `default` without asking whether it still was the leader.
    case consistent

    init(_ items: QueryItems) throws(APIError) {
        guard let text = try items.text("level") else {
            self = .default
            return
        }
        guard let level = ReadLevel(rawValue: text) else {
            throw .badRequest("level is stale, default or consistent")
        }
        self = level
    }
}

/// A put over HTTP.
struct KeyPut: Sendable {
    var key: [UInt8]
    var value: [UInt8]
    var contentType: String?
    /// A lease of its own, of so many seconds.
    var ttl: Int64?
    /// A lease that there is.
    var lease = LeaseID.none
    var conditions = Conditions()
}

/// What a write came to.
enum KeyWritten: Sendable {
    /// - Parameters:
    ///   - previous: the pair before, without its value; nil: there was none.
    ///   - lease: that was granted for it.
    case done(revision: Revision, previous: KeyValue?, lease: LeaseID)
    /// The conditions are not met.
    /// - Parameter current: the pair that is there, without its value.
    case refused(current: KeyValue?)
}

/// Reads and writes as all routes of the HTTP API do them, straight through the event loop's own requests.
struct KeyOperations: Sendable {
    let context: ServiceContext
    let limits: HTTPAPILimits
    /// What is granted at least, in seconds (L2).
    let leaseTTLMin: Int64

    // MARK: Reading

    func view(
        _ level: ReadLevel, on eventLoop: any EventLoop,
        _ done: @escaping (Swift.Result<ReplicaView, APIError>) -> Void
    ) {
        let status = context.node.published.status
        guard !status.isJoining else {
            return done(.failure(.noLeader("this member has not got the cluster's state yet")))
        }
        if level == .stale { return done(.success(context.node.published.view)) }
        guard status.leader != nil else { return done(.failure(.noLeaderKnown)) }
        context.requests(on: eventLoop).read { done($0.mapError(APIError.init)) }
    }

    /// A key's note, as far as it is about this very version of the key.
    /// - Parameter revision: at which the key was read. (The one that changed it may be compacted long since.)
    func note(of key: KeyValue, at revision: Revision, in view: ReadView) throws(ReadError) -> KeyNote {
        var note = KeyNote()
        try view.forEachPair(in: KeyRange(key: KeyNote.key(of: key.key)), at: revision) { pair in
            if pair.modRevision == key.modRevision { note = KeyNote(decoding: pair.value) }
            return false
        }
        return note
    }

    /// The bytes of the same put in etcd's API, which are what `--max-request-bytes` counts.
    static func requestBytes(key: Int, value: Int) -> Int {
        func varint(_ number: Int) -> Int { max(1, (Int.bitWidth - number.leadingZeroBitCount + 6) / 7) }
        return 1 + varint(key) + key + (value == 0 ? 0 : 1 + varint(value) + value)
    }

    // MARK: Writing

    func put(
        _ put: KeyPut, on eventLoop: any EventLoop,
        _ done: @escaping (Swift.Result<KeyWritten, APIError>) -> Void
    ) {
        guard Self.requestBytes(key: put.key.count, value: put.value.count) <= context.limits.requestBytesMax else {
            return done(.failure(.tooLarge(context.limits.requestBytesMax)))
        }
        let noteKey = KeyNote.key(of: put.key)
        write(put.key, put.conditions, on: eventLoop, ttl: put.ttl, done) { lease in
            let lease = put.ttl == nil ? put.lease : lease
            let note = KeyNote(contentType: put.contentType, ownLease: put.ttl == nil ? .none : lease)
            return [
                note.isEmpty
                    ? .delete(DeleteOperation(KeyRange(key: noteKey), prevKV: true))
                    : .put(PutOperation(key: noteKey, value: note.encoded, lease: lease, prevKV: true)),
                .put(PutOperation(key: put.key, value: put.value, lease: lease)),
            ]
        }
    }

    func delete(
        _ key: [UInt8], _ conditions: Conditions = Conditions(), on eventLoop: any EventLoop,
        _ done: @escaping (Swift.Result<KeyWritten, APIError>) -> Void
    ) {
        write(key, conditions, on: eventLoop, ttl: nil, done) { _ in
            [
                .delete(DeleteOperation(KeyRange(key: KeyNote.key(of: key)), prevKV: true)),
                .delete(DeleteOperation(KeyRange(key: key))),
            ]
        }
    }

    /// Everything that begins with the prefix, but for what is reserved.
    func delete(
        prefix: [UInt8], on eventLoop: any EventLoop,
        _ done: @escaping (Swift.Result<(deleted: Int64, revision: Revision), APIError>) -> Void
    ) {
        let ranges = ReservedKeys.ranges(ofPrefix: prefix)
        let notes = KeyRange(prefix: KeyNote.key(of: prefix))
        let transaction = Transaction(success: (ranges + [notes]).map { .delete(DeleteOperation($0)) })
        commit(on: eventLoop, ttl: nil, { _ in transaction }) { result in
            done(
                result.map { answer in
                    let deleted = answer.steps.prefix(ranges.count).reduce(Int64(0)) { sum, step in
                        guard case .delete(let answer) = step else { return sum }
                        return sum + answer.deleted
                    }
                    return (deleted, answer.revision)
                })
        }
    }

    /// One key's change under its conditions: a look at the pair before, then `steps`, the note's first.
    private func write(
        _ key: [UInt8], _ conditions: Conditions, on eventLoop: any EventLoop, ttl: Int64?,
        _ done: @escaping (Swift.Result<KeyWritten, APIError>) -> Void, steps: @escaping (LeaseID) -> [Operation]
    ) {
        if conditions.needsLook {
            return look(at: key, on: eventLoop) { result in
                switch result {
                case .failure(let error): done(.failure(error))
                case .success(let current):
                    guard let current, conditions.verdict(of: current.modRevision) == .met else {
                        return done(.success(.refused(current: current)))
                    }
                    let narrowed = conditions.narrowed(to: current.modRevision)
                    write(key, narrowed, on: eventLoop, ttl: ttl, done, steps: steps)
                }
            }
        }
        let look = Operation.range(Self.metadata(of: key))
        commit(on: eventLoop, ttl: ttl) { lease in
            Transaction(
                comparisons: conditions.comparisons(of: key), success: [look] + steps(lease), failure: [look])
        } _: { result in
            switch result {
            case .failure(let error): done(.failure(error))
            case .success(let answer):
                var previous: KeyValue?
                if case .range(let range)? = answer.steps.first { previous = range.keyValues.first }
                guard answer.succeeded else { return done(.success(.refused(current: previous))) }
                endOwnLease(of: previous, answer.steps.dropFirst().first, on: eventLoop)
                done(
                    .success(
                        .done(revision: answer.revision, previous: previous, lease: answer.lease?.id ?? .none)))
            }
        }
    }

    /// All but its value.
    private static func metadata(of key: [UInt8]) -> RangeQuery {
        var query = RangeQuery(KeyRange(key: key))
        query.keysOnly = true
        return query
    }

    private func look(
        at key: [UInt8], on eventLoop: any EventLoop,
        _ done: @escaping (Swift.Result<KeyValue?, APIError>) -> Void
    ) {
        view(.default, on: eventLoop) { [context] result in
            switch result {
            case .failure(let error): done(.failure(error))
            case .success(let view):
                do throws(ReadError) {
                    done(.success(try view.store.range(Self.metadata(of: key)).keyValues.first))
                } catch {
                    done(.failure(context.apiError(of: error)))
                }
            }
        }
    }

    /// The lease that was granted for the version before, and for nothing else, has no use any more. (If this comes to
    /// nothing, the lease ends by itself.)
    private func endOwnLease(of previous: KeyValue?, _ noteStep: OperationAnswer?, on eventLoop: any EventLoop) {
        guard let previous, previous.lease != .none else { return }
        let note: KeyValue?
        switch noteStep {
        case .put(let answer): note = answer.previous
        case .delete(let answer): note = answer.previous.first
        default: note = nil
        }
        guard let note, note.modRevision == previous.modRevision,
            KeyNote(decoding: note.value).ownLease == previous.lease
        else { return }
        let own = [previous.key, note.key]
        do throws(StateError) {
            // What others attached to it since is theirs.
            let attached = try context.node.published.view.store.keys(of: previous.lease)
            guard attached.allSatisfy(own.contains) else { return }
        } catch {
            return context.node.fail(NodeFailure(part: .engine, reason: "\(error)"))
        }
        context.requests(on: eventLoop).propose(.revoke(previous.lease)) { _ in }
    }

    // MARK: Transactions

    /// What a transaction came to that ran.
    struct Committed: Sendable {
        var revision: Revision
        var succeeded: Bool
        var steps: [OperationAnswer]
        var lease: Lease?
    }

    /// Has a transaction applied, in one entry of the log with the grant of a lease of `ttl` seconds if it wants one:
    /// either there is a lease with keys, or there is none.
    func commit(
        on eventLoop: any EventLoop, ttl: Int64?, _ transaction: @escaping (LeaseID) -> Transaction,
        _ done: @escaping (Swift.Result<Committed, APIError>) -> Void
    ) {
        let status = context.node.published.status
        guard !status.isJoining, status.leader != nil else { return done(.failure(.noLeaderKnown)) }
        let lease = ttl == nil ? LeaseID.none : Self.newLeaseID()
        let first = transaction(lease)
        guard first.hasPuts else { return propose(first, attempt: 1, lease, ttl, transaction, on: eventLoop, done) }
        let growth = SpaceQuota.growth(of: first) + (ttl == nil ? 0 : SpaceQuota.leaseBytes)
        context.withSpace(growth, through: context.requests(on: eventLoop)) { hasSpace in
            guard hasSpace else { return done(.failure(.noSpace)) }
            propose(first, attempt: 1, lease, ttl, transaction, on: eventLoop, done)
        }
    }

    /// Ids that JavaScript's numbers hold exactly: the answer to a grant is a number.
    static let leaseIDMax: Int64 = 1 << 53 - 1

    static func newLeaseID() -> LeaseID { LeaseID(Int64.random(in: 1...leaseIDMax)) }

    private func propose(
        _ transaction: Transaction, attempt: Int, _ lease: LeaseID, _ ttl: Int64?,
        _ make: @escaping (LeaseID) -> Transaction, on eventLoop: any EventLoop,
        _ done: @escaping (Swift.Result<Committed, APIError>) -> Void
    ) {
        let requests = context.requests(on: eventLoop)
        guard let ttl else {
            let payload = CommandCodec.encode(.transaction(transaction), prefixBytes: LoopRequests.commandPrefixBytes)
            return requests.propose(payload) { result in
                switch result {
                case .success(.keyValue(let outcome)):
                    switch outcome.result {
                    case .transaction(let answer): done(.success(Committed(answer, outcome.revision, nil)))
                    case .failed(let error): done(.failure(APIError(error)))
                    case .put, .delete, .compacted: done(.failure(.anotherKind))
                    }
                case .success: done(.failure(.anotherKind))
                case .failure(let failure): done(.failure(APIError(failure)))
                }
            }
        }
        requests.propose(.grantWith(lease, ttl: max(ttl, leaseTTLMin), transaction)) { result in
            switch result {
            case .success(.lease(let outcome)):
                switch outcome.result {
                case .grantedWith(let lease, let answer):
                    done(.success(Committed(answer, outcome.revision, lease)))
                // A name that nobody asked for is taken: another one.
                case .failed(.leaseExists) where attempt < limits.leaseIDAttemptsMax:
                    let other = Self.newLeaseID()
                    propose(make(other), attempt: attempt + 1, other, ttl, make, on: eventLoop, done)
                case .failed(let error): done(.failure(APIError(error)))
                default: done(.failure(.anotherKind))
                }
            case .success: done(.failure(.anotherKind))
            case .failure(let failure): done(.failure(APIError(failure)))
            }
        }
    }
}

extension KeyOperations.Committed {
    fileprivate init(_ answer: TransactionAnswer, _ revision: Revision, _ lease: Lease?) {
        self.init(
            revision: answer.revision ?? revision, succeeded: answer.succeeded, steps: answer.answers, lease: lease)
    }
}
