import EtcdAPI
import HTTP2
import MVCC
import NIOCore
import Raft
import Replica

/// One call that stands in line for a lock or an election: puts its key, and waits until it is the oldest (O1, O2).
///
/// A call that ends without an answer leaves the line: its key goes, and the lease too, if it was made for the call.
final class Candidacy: OpenWait {
    /// What the line is for, where the two differ.
    enum Purpose {
        case lock
        /// With the value that the leader announces.
        case election([UInt8])
    }

    /// A place at the front.
    struct Won {
        let key: [UInt8]
        let lease: LeaseID
        /// Where the key was created.
        let created: Revision
        /// For the answer's header.
        let revision: Revision
    }

    /// Of leases that are made for a call: etcd's `defaultSessionTTL`.
    private static let sessionTTL: Int64 = 60

    private let call: GRPCCall
    private let context: ServiceContext
    private let watches: LoopWatches
    private let prefix: QueuePrefix
    private let purpose: Purpose
    private let won: (Won) -> Void

    private var lease = LeaseID.none
    private var isLeaseOwn = false
    private var key: [UInt8] = []
    /// Nil until the key is there.
    private var created: Revision?
    /// The transaction's: an election's header.
    private var entered = Revision(0)
    private var watch: KeyWatch?
    private var keepAlive: RepeatedTask?
    private var isOver = false

    /// - Parameter won: answers the call.
    init(
        _ call: GRPCCall, _ context: ServiceContext, _ watches: LoopWatches, _ prefix: QueuePrefix, _ purpose: Purpose,
        won: @escaping (Won) -> Void
    ) {
        self.call = call
        self.context = context
        self.watches = watches
        self.prefix = prefix
        self.purpose = purpose
        self.won = won
    }

    private var requests: LoopRequests { context.requests(on: call.eventLoop) }

    var needsLeader: Bool { false }

    func begin(lease asked: LeaseID) {
        call.onCancel { [self] in leave() }
        watches.add(self)
        if asked == .none {
            makeLease()
        } else {
            lease = asked
            enter()
        }
    }

    func end(_ status: GRPCStatus) {
        guard !isOver else { return }
        leave()
        call.finish(status)
    }

    // MARK: The lease

    private func makeLease() {
        let id = LeaseID(Int64.random(in: 1...Int64.max))
        requests.propose(.grant(id, ttl: Self.sessionTTL)) { [self] result in
            switch result {
            case .success(.lease(let outcome)):
                switch outcome.result {
                case .granted(let granted):
                    lease = granted.id
                    isLeaseOwn = true
                    guard !isOver else { return giveBack() }
                    enter()
                case .failed(.leaseExists): if !isOver { makeLease() }
                case .failed(let error): end(GRPCStatus(withoutCode: error))
                default: end(.anotherKind)
                }
            case .success: end(.anotherKind)
            case .failure(let failure): end(GRPCStatus(failure))
            }
        }
    }

    /// While the call waits nobody else knows the lease. (etcd lets it run out, and the call fails after a minute.)
    private func keepLease() {
        guard isLeaseOwn, keepAlive == nil else { return }
        let held = NIOLoopBound(self, eventLoop: call.eventLoop)
        let pause = TimeAmount.seconds(Self.sessionTTL / 3)
        keepAlive = call.eventLoop.scheduleRepeatedTask(initialDelay: pause, delay: pause) { _ in
            held.value.requests.renewals.renew(held.value.lease) { _ in }
        }
    }

    // MARK: Into the line

    private func enter() {
        key = prefix.key(of: lease)
        let value: [UInt8] = if case .election(let value) = purpose { value } else { [] }
        let entry = Transaction(
            ifCreated: key, at: Revision(0),
            then: [.put(PutOperation(key: key, value: value, lease: lease)), .range(prefix.first)],
            else: [.range(RangeQuery(KeyRange(key: key))), .range(prefix.first)])
        requests.commit(entry) { [self] result in
            switch result {
            case .failure(let status):
                if isOver { giveBack() } else { end(status) }
            case .success(let answer):
                entered = answer.revision
                var own: KeyValue?
                if !answer.succeeded, case .range(let found) = answer.steps[0] { own = found.keyValues.first }
                created = own?.createRevision ?? entered
                guard !isOver else { return giveBack() }
                var isFirst = false
                if case .range(let first) = answer.steps[1] {
                    isFirst = first.keyValues.first?.createRevision == created
                }
                if let own, own.value != value, case .election = purpose {
                    announce(value, isFirst: isFirst)
                } else if isFirst {
                    succeed(at: entered)
                } else {
                    look()
                }
            }
        }
    }

    /// The lease has been in this line before, with another value.
    private func announce(_ value: [UInt8], isFirst: Bool) {
        guard let created else { return }
        let put = PutOperation(key: key, value: value, lease: lease)
        requests.commit(Transaction(ifCreated: key, at: created, then: [.put(put)])) { [self] result in
            guard !isOver else { return }
            switch result {
            case .failure(let status): end(status)
            case .success(let answer):
                guard answer.succeeded else { return end(.notLeader) }
                if isFirst { succeed(at: entered) } else { look() }
            }
        }
    }

    // MARK: In the line

    /// Waits for the next older key, or finds that there is none.
    private func look() {
        guard let created else { return }
        keepLease()
        requests.read { [self] result in
            guard !isOver else { return }
            switch result {
            case .failure(let failure): end(GRPCStatus(failure))
            case .success(let view):
                do throws(ReadError) {
                    if let older = try view.store.range(prefix.last(before: created)).keyValues.first {
                        return wait(for: older.key, from: view.store.revision)
                    }
                    var own = RangeQuery(KeyRange(key: key))
                    own.keysOnly = true
                    let isThere = try view.store.range(own).keyValues.first?.createRevision == created
                    guard isThere else { return lost() }
                    switch purpose {
                    case .lock: succeed(at: view.store.revision)
                    case .election: succeed(at: entered)
                    }
                } catch {
                    end(context.status(of: error))
                }
            }
        }
    }

    private func wait(for older: [UInt8], from revision: Revision) {
        var request = WatchRequest(KeyRange(key: older))
        request.start = Revision(revision.rawValue + 1)
        request.ignoresPuts = true
        watch = KeyWatch(request, for: call, watches) { [self] _ in
            watch?.stop()
            watch = nil
            look()
        }
    }

    // MARK: Out of it

    private func succeed(at revision: Revision) {
        guard let created else { return }
        isOver = true
        stop()
        won(Won(key: key, lease: lease, created: created, revision: revision))
    }

    /// The key has gone while it waited: its lease ended, or somebody deleted it.
    private func lost() {
        switch purpose {
        case .lock: end(GRPCStatus(.unknown, "mutex: session is expired"))
        // etcd would say that it leads.
        case .election: end(.notLeader)
        }
    }

    private func leave() {
        guard !isOver else { return }
        isOver = true
        stop()
        giveBack()
    }

    private func stop() {
        watches.remove(self)
        watch?.stop()
        watch = nil
        keepAlive?.cancel()
        keepAlive = nil
    }

    /// What was put down for this call. Where it cannot be done now, the end of the lease does it.
    private func giveBack() {
        if isLeaseOwn {
            requests.propose(.revoke(lease)) { _ in }
        } else if let created {
            let delete = DeleteOperation(KeyRange(key: key))
            requests.commit(Transaction(ifCreated: key, at: created, then: [.delete(delete)])) { _ in }
        }
    }
}

extension GRPCStatus {
    /// etcd's words, for which it has no code.
    static let notLeader = GRPCStatus(.unknown, "election: not leader")
    static let noElectionLeader = GRPCStatus(.unknown, "election: no leader")
}
