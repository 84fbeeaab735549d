import MVCC
import Raft
import Replica

/// Writes registrations, on an event loop of its user's. Each is one transaction, so that nobody sees half of one, and
/// goes only where what it was made from is still so.
struct ServiceRegistrar: Sendable {
    let context: ServiceContext
    let layout: ServiceLayout
    let limits: DiscoveryLimits
    /// What a lease is granted at least, in seconds (L2).
    let ttlMin: Int64
    let checksAreOn: Bool

    typealias Done<Value> = (Swift.Result<Value, APIError>) -> Void

    struct Registered {
        var instance: FoundInstance
        var revision: Revision
        /// As it was granted.
        var ttlSeconds: Int64?
        var isNew: Bool
    }

    // MARK: Registering

    func register(
        _ service: String, _ id: String, _ registration: ServiceRegistration, _ requests: LoopRequests,
        attempt: Int = 1, _ done: @escaping Done<Registered>
    ) {
        guard registration.instance.check == nil || checksAreOn else { return done(.failure(.checksAreOff)) }
        seen(service, id, requests, countsChecks: registration.instance.check != nil) { result in
            switch result {
            case .failure(let error): done(.failure(error))
            case .success(let seen):
                let again = {
                    guard attempt < limits.attemptsMax else {
                        return done(
                            .failure(
                                APIError(
                                    409, "conflict",
                                    "\(service)/\(id) is being registered by somebody else at the same time")))
                    }
                    register(service, id, registration, requests, attempt: attempt + 1, done)
                }
                if registration.instance.check != nil {
                    define(service, id, registration.instance, seen, requests, again, done)
                } else {
                    announce(service, id, registration, seen, requests, again, done)
                }
            }
        }
    }

    /// What there is of an instance.
    private struct Seen {
        var live: KeyValue?
        var check: KeyValue?
        var checkCount: Int64
        var revision: Revision

        var instance: ServiceInstance? { live.flatMap { ServiceRecord.instance(from: $0.value) } }
    }

    private func seen(
        _ service: String, _ id: String, _ requests: LoopRequests, countsChecks: Bool = false,
        _ done: @escaping Done<Seen>
    ) {
        requests.read { result in
            switch result {
            case .failure(let failure): done(.failure(.ofService(failure)))
            case .success(let view):
                do throws(ReadError) {
                    let directory = ServiceDirectory(store: view.store, limits: limits)
                    done(
                        .success(
                            Seen(
                                live: try directory.pair(ServiceLayout.key(service, id)),
                                check: try directory.pair(ServiceLayout.checkKey(service, id)),
                                checkCount: countsChecks ? try directory.checkCount() : 0,
                                revision: view.store.revision)))
                } catch {
                    done(.failure(context.apiError(of: error)))
                }
            }
        }
    }

    /// An instance that the cluster checks. What was known of it before is not listed until the check has passed; the
    /// same definition once more changes nothing.
    private func define(
        _ service: String, _ id: String, _ instance: ServiceInstance, _ seen: Seen, _ requests: LoopRequests,
        _ again: @escaping () -> Void, _ done: @escaping Done<Registered>
    ) {
        let value = ServiceRecord.bytes(of: instance)
        func registered(at revision: Revision, isNew: Bool) -> Registered {
            let isLive = !isNew && seen.instance == instance
            return Registered(
                instance: FoundInstance(
                    service: service, id: id, instance: instance, status: isLive ? .passing : .critical,
                    lease: isLive ? seen.live?.lease ?? .none : .none, modRevision: revision),
                revision: revision, isNew: isNew && seen.check == nil && seen.live == nil)
        }
        if seen.check?.value == value { return done(.success(registered(at: seen.revision, isNew: false))) }
        guard seen.check != nil || seen.checkCount < DiscoveryLimits.checksMax else {
            return done(
                .failure(
                    APIError(
                        409, "too_many_checks", "the cluster checks \(DiscoveryLimits.checksMax) instances at most")))
        }
        let put = Operation.put(PutOperation(key: ServiceLayout.checkKey(service, id), value: value))
        let transaction = Transaction(
            comparisons: unchanged(service, id, seen),
            success: [put] + (seen.live == nil ? [] : layout.deletes(service, id)))
        commit(transaction, requests) { result in
            switch result {
            case .failure(let error): done(.failure(error))
            case .success(nil): again()
            case .success(let revision?): done(.success(registered(at: revision, isNew: true)))
            }
        }
    }

    /// An instance that lives by a lease: the caller's, the one that it had, or a new one.
    private func announce(
        _ service: String, _ id: String, _ registration: ServiceRegistration, _ seen: Seen, _ requests: LoopRequests,
        _ again: @escaping () -> Void, _ done: @escaping Done<Registered>
    ) {
        let instance = registration.instance
        func write(_ lease: LeaseID, ttl: Int64?, isOwn: Bool) {
            let transaction = Transaction(
                comparisons: unchanged(service, id, seen),
                success: layout.puts(service, id, instance, lease: lease)
                    + (seen.check == nil ? [] : [ServiceLayout.deleteCheck(service, id)]))
            commit(transaction, requests) { result in
                switch result {
                case .success(let revision?):
                    done(
                        .success(
                            Registered(
                                instance: FoundInstance(
                                    service: service, id: id, instance: instance, status: .passing, lease: lease,
                                    modRevision: revision),
                                revision: revision, ttlSeconds: ttl, isNew: seen.live == nil && seen.check == nil)))
                case .success(nil):
                    if isOwn { requests.propose(.revoke(lease)) { _ in } }
                    again()
                case .failure(let error):
                    if isOwn { requests.propose(.revoke(lease)) { _ in } }
                    done(.failure(error))
                }
            }
        }
        if let lease = registration.lease { return write(lease, ttl: nil, isOwn: false) }
        guard let ttl = instance.ttlSeconds else { return done(.failure(.anotherKind)) }
        func writeUnderNew() {
            grant(ttl, requests) { result in
                switch result {
                case .failure(let error): done(.failure(error))
                case .success(let lease): write(lease.id, ttl: lease.ttl, isOwn: true)
                }
            }
        }
        // Registering again is a sign of life: the lease is renewed, and the same.
        guard let live = seen.live, live.lease != .none, seen.instance?.ttlSeconds == ttl else {
            return writeUnderNew()
        }
        requests.renewals.renew(live.lease) { result in
            switch result {
            case .failure(let failure): done(.failure(.ofService(failure)))
            case .success(let renewal) where renewal.ttl == 0: writeUnderNew()
            case .success(let renewal):
                // Nothing to write: a renewal costs no revision.
                if seen.check == nil, live.value == ServiceRecord.bytes(of: instance) {
                    let found = FoundInstance(
                        service: service, id: id, instance: instance, status: .passing, lease: live.lease,
                        modRevision: live.modRevision)
                    return done(
                        .success(
                            Registered(
                                instance: found, revision: renewal.revision, ttlSeconds: renewal.ttl, isNew: false)))
                }
                write(live.lease, ttl: renewal.ttl, isOwn: false)
            }
        }
    }

    private func unchanged(_ service: String, _ id: String, _ seen: Seen) -> [Comparison] {
        [
            .unchanged(ServiceLayout.key(service, id), seen.live),
            .unchanged(ServiceLayout.checkKey(service, id), seen.check),
        ]
    }

    // MARK: Renewing

    /// The whole TTL from now on; nil where no such instance lives by a lease.
    func renew(
        _ service: String, _ id: String, _ requests: LoopRequests,
        _ done: @escaping Done<(lease: LeaseID, ttlSeconds: Int64, revision: Revision)?>
    ) {
        seen(service, id, requests) { result in
            switch result {
            case .failure(let error): done(.failure(error))
            case .success(let seen):
                guard let lease = seen.live?.lease, lease != .none else { return done(.success(nil)) }
                requests.renewals.renew(lease) { result in
                    switch result {
                    case .failure(let failure): done(.failure(.ofService(failure)))
                    case .success(let renewal):
                        done(.success(renewal.ttl == 0 ? nil : (lease, renewal.ttl, renewal.revision)))
                    }
                }
            }
        }
    }

    // MARK: Deregistering

    /// The revision at which it went; nil where there is no such instance.
    func deregister(
        _ service: String, _ id: String, _ requests: LoopRequests, attempt: Int = 1, _ done: @escaping Done<Revision?>
    ) {
        seen(service, id, requests) { result in
            switch result {
            case .failure(let error): done(.failure(error))
            case .success(let seen):
                guard seen.live != nil || seen.check != nil else { return done(.success(nil)) }
                let transaction = Transaction(
                    comparisons: unchanged(service, id, seen),
                    success: layout.deletes(service, id) + [ServiceLayout.deleteCheck(service, id)])
                commit(transaction, requests) { result in
                    switch result {
                    case .failure(let error): done(.failure(error))
                    case .success(nil) where attempt < limits.attemptsMax:
                        deregister(service, id, requests, attempt: attempt + 1, done)
                    case .success(nil):
                        done(.failure(APIError(409, "conflict", "\(service)/\(id) changes all the time")))
                    case .success(let revision?):
                        // Whoever keeps it alive learns that it is over. The caller's own lease is his.
                        if let live = seen.live, live.lease != .none, seen.instance?.ttlSeconds != nil {
                            requests.propose(.revoke(live.lease)) { _ in }
                        }
                        done(.success(revision))
                    }
                }
            }
        }
    }

    // MARK: Pieces

    func grant(_ ttl: Int64, _ requests: LoopRequests, attempt: Int = 1, _ done: @escaping Done<Lease>) {
        context.withSpace(SpaceQuota.leaseBytes, through: requests) { hasSpace in
            guard hasSpace else { return done(.failure(.noSpace)) }
            proposeGrant(ttl, requests, attempt, done)
        }
    }

    private func proposeGrant(_ ttl: Int64, _ requests: LoopRequests, _ attempt: Int, _ done: @escaping Done<Lease>) {
        let id = LeaseID(Int64.random(in: 1...Int64.max))
        requests.propose(.grant(id, ttl: max(ttl, ttlMin))) { result in
            switch result {
            case .success(.lease(let outcome)):
                switch outcome.result {
                case .granted(let lease): done(.success(lease))
                case .failed(.leaseExists) where attempt < limits.attemptsMax:
                    grant(ttl, requests, attempt: attempt + 1, done)
                case .failed(let error): done(.failure(APIError(error)))
                default: done(.failure(.anotherKind))
                }
            case .success: done(.failure(.anotherKind))
            case .failure(let failure): done(.failure(.ofService(failure)))
            }
        }
    }

    /// The revision of the transaction; nil where its comparisons did not hold.
    func commit(_ transaction: Transaction, _ requests: LoopRequests, _ done: @escaping Done<Revision?>) {
        guard transaction.hasPuts else { return propose(transaction, requests, done) }
        context.withSpace(SpaceQuota.growth(of: transaction), through: requests) { hasSpace in
            guard hasSpace else { return done(.failure(.noSpace)) }
            propose(transaction, requests, done)
        }
    }

    private func propose(_ transaction: Transaction, _ requests: LoopRequests, _ done: @escaping Done<Revision?>) {
        let payload = CommandCodec.encode(.transaction(transaction), prefixBytes: LoopRequests.commandPrefixBytes)
        requests.propose(payload) { result in
            switch result {
            case .success(.keyValue(let outcome)):
                switch outcome.result {
                case .transaction(let answer):
                    done(.success(answer.succeeded ? answer.revision ?? outcome.revision : nil))
                case .failed(let error): done(.failure(APIError(error)))
                default: done(.failure(.anotherKind))
                }
            case .success: done(.failure(.anotherKind))
            case .failure(let failure): done(.failure(.ofService(failure)))
            }
        }
    }
}
