import Logging
import MVCC
import NIOCore
import Raft
import RaftCore
import Replica
import Synchronization

/// Checks the instances that asked for it, while this member leads, on an event loop of its own. Whoever leads next
/// goes on with what is in the keys: the leases of those that were well outlive the change.
///
/// Nothing that is written hangs on this member still leading: each transaction holds only if definition and instance
/// are as they were seen.
final class CheckRunner: @unchecked Sendable {  // used on its event loop only, but for the counters
    /// For the metrics.
    final class Counters: Sendable {
        let passed = Atomic<UInt64>(0)
        let failed = Atomic<UInt64>(0)
        /// Instances that this member checks now.
        let checked = Atomic<Int>(0)
    }

    let counters = Counters()
    private let eventLoop: any EventLoop
    private let context: ServiceContext
    private let registrar: ServiceRegistrar
    private let requests: LoopRequests
    private let watches: LoopWatches
    private let logger: Logger

    private var schedule: CheckSchedule
    private var timer: RepeatedTask?
    private var signal: ChangeSignal?
    /// Counts the times that this member began to lead: what was begun before is not gone on with.
    private var reign = 0
    private var leads = false
    private var isReading = false
    private var isOutdated = false
    /// What was logged of an instance last.
    private var wasWell: [[UInt8]: Bool] = [:]

    /// How late a check may begin.
    private static let lookInterval = TimeAmount.milliseconds(100)

    init(
        context: ServiceContext, registrar: ServiceRegistrar, feed: WatchFeed, eventLoop: any EventLoop, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.context = context
        self.registrar = registrar
        self.logger = logger
        requests = LoopRequests(
            eventLoop: eventLoop, node: context.node, leaseClock: context.leaseClock, failures: context.failures,
            timeouts: context.timeouts, times: context.times)
        watches = LoopWatches(eventLoop: eventLoop, context: context, feed: feed, options: WatchService.Options())
        schedule = CheckSchedule(atOnceMax: registrar.limits.checksAtOnceMax)
    }

    func start() {
        eventLoop.execute { [self] in
            timer = eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: Self.lookInterval) { [self] _ in look() }
        }
    }

    /// Returns when nothing more is begun.
    func stop() {
        try? eventLoop.submit { [self] in
            timer?.cancel()
            timer = nil
            abdicate()
        }.wait()
    }

    // MARK: Leading

    private func look() {
        let status = context.node.published.status
        let isLeader = status.role == .leader && status.failure == nil
        if isLeader != leads {
            if isLeader { ascend() } else { abdicate() }
        }
        guard leads else { return }
        for definition in schedule.takeDue(at: eventLoop.now) { check(definition) }
    }

    private func ascend() {
        leads = true
        reign += 1
        read(isFirst: true)
    }

    private func abdicate() {
        guard leads else { return }
        leads = false
        reign += 1
        signal?.stop()
        signal = nil
        schedule = CheckSchedule(atOnceMax: registrar.limits.checksAtOnceMax)
        wasWell = [:]
        isReading = false
        isOutdated = false
        counters.checked.store(0, ordering: .relaxed)
    }

    // MARK: Definitions

    private func read(isFirst: Bool = false) {
        guard !isReading else { return isOutdated = true }
        isReading = true
        isOutdated = false
        requests.read { [self, reign] result in
            guard reign == self.reign else { return }
            isReading = false
            guard case .success(let view) = result else {
                // No quorum to read with: there is none to write with either. Again, until there is, or another leads.
                eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(500)) { [self] in
                    if reign == self.reign { read(isFirst: isFirst) }
                }
                return
            }
            do throws(ReadError) {
                try take(view.store, isFirst: isFirst)
            } catch {
                _ = context.apiError(of: error)
                return
            }
            if signal == nil {
                signal = ChangeSignal(ServiceLayout.allChecks, after: view.store.revision, watches) { [self] _ in
                    read()
                }
            }
            if isOutdated { read() }
        }
    }

    private func take(_ store: ReadView, isFirst: Bool) throws(ReadError) {
        var query = RangeQuery(ServiceLayout.allChecks)
        query.limit = DiscoveryLimits.checksMax
        let answer = try store.range(query)
        if answer.more {
            logger.warning(
                "there are more checks than one leader makes: those with the last names are not made",
                metadata: ["checks": "\(answer.count)", "made": "\(DiscoveryLimits.checksMax)"])
        }
        let known = schedule.revisions
        var changed: [[UInt8]: CheckSchedule.Definition] = [:]
        var keys: Set<[UInt8]> = []
        for pair in answer.keyValues {
            if known[pair.key] == pair.modRevision {
                keys.insert(pair.key)
                continue
            }
            guard let parts = ServiceLayout.parts(of: pair.key, below: ServiceLayout.checksRoot),
                let instance = ServiceRecord.instance(from: pair.value), let check = instance.check
            else { continue }
            keys.insert(pair.key)
            changed[pair.key] = CheckSchedule.Definition(
                service: parts.service, id: parts.id, instance: instance, check: check, value: pair.value,
                modRevision: pair.modRevision)
        }
        schedule.update(keys: keys, changed: changed, now: eventLoop.now) { definition in
            guard isFirst else { return .zero }
            return .milliseconds(.random(in: 0...definition.check.intervalMilliseconds))
        }
        wasWell = wasWell.filter { keys.contains($0.key) && changed[$0.key] == nil }
        counters.checked.store(schedule.count, ordering: .relaxed)
    }

    // MARK: Checks

    private func check(_ definition: CheckSchedule.Definition) {
        let reign = self.reign
        let held = NIOLoopBound(self, eventLoop: eventLoop)
        ServiceProbe.run(
            definition.check, host: definition.instance.address,
            port: definition.check.port ?? definition.instance.port, on: eventLoop
        ).whenSuccess { outcome in held.value.checked(definition, outcome, in: reign) }
    }

    private func checked(_ definition: CheckSchedule.Definition, _ outcome: ServiceProbe.Outcome, in reign: Int) {
        guard reign == self.reign else { return }
        if outcome == .passed {
            counters.passed.wrappingAdd(1, ordering: .relaxed)
        } else {
            counters.failed.wrappingAdd(1, ordering: .relaxed)
        }
        guard let action = schedule.judge(definition, passed: outcome == .passed, at: eventLoop.now) else { return }
        log(definition, action, outcome)
        let finish = { [self] in
            if reign == self.reign { schedule.finish(definition, at: eventLoop.now) }
        }
        do throws(ReadError) {
            let directory = ServiceDirectory(store: context.node.published.view.store, limits: registrar.limits)
            let live = try directory.pair(ServiceLayout.key(definition.service, definition.id))
            switch action {
            case .list: list(definition, live, finish)
            case .keep: keep(live, finish)
            case .hide: remove(definition, live, withDefinition: false, finish)
            case .forget: remove(definition, live, withDefinition: true, finish)
            }
        } catch {
            _ = context.apiError(of: error)
        }
    }

    private func log(
        _ definition: CheckSchedule.Definition, _ action: CheckSchedule.Action, _ outcome: ServiceProbe.Outcome
    ) {
        let key = ServiceLayout.checkKey(definition.service, definition.id)
        var metadata: Logger.Metadata = [
            "service": "\(definition.service)", "instance": "\(definition.id)",
            "address": "\(definition.instance.addressAndPort)",
        ]
        if case .failed(let reason) = outcome { metadata["reason"] = "\(reason)" }
        switch action {
        case .list where wasWell[key] != true:
            wasWell[key] = true
            logger.info("an instance passes its check", metadata: metadata)
        case .hide where wasWell[key] != false:
            wasWell[key] = false
            logger.warning("an instance fails its check: it is listed no more", metadata: metadata)
        case .forget: logger.warning("an instance has failed its check for too long: deregistered", metadata: metadata)
        default: break
        }
    }

    // MARK: Writes

    private func list(_ definition: CheckSchedule.Definition, _ live: KeyValue?, _ done: @escaping () -> Void) {
        guard let live, live.value == definition.value, live.lease != .none else { return put(definition, live, done) }
        requests.renewals.renew(live.lease) { [self] result in
            // Its lease ended a moment ago, and the key with it.
            if case .success(let renewal) = result, renewal.ttl == 0 { return put(definition, nil, done) }
            done()
        }
    }

    private func keep(_ live: KeyValue?, _ done: @escaping () -> Void) {
        guard let live, live.lease != .none else { return done() }
        requests.renewals.renew(live.lease) { _ in done() }
    }

    private func put(_ definition: CheckSchedule.Definition, _ live: KeyValue?, _ done: @escaping () -> Void) {
        let ttl = definition.check.ttlSeconds(atLeast: registrar.ttlMin)
        registrar.grant(ttl, requests) { [self] result in
            guard case .success(let lease) = result else { return done() }
            let transaction = Transaction(
                comparisons: unchanged(definition, live),
                success: registrar.layout.puts(
                    definition.service, definition.id, definition.instance, lease: lease.id))
            registrar.commit(transaction, requests) { [self] result in
                // It was deregistered, or registered anew, or another leader was first.
                if case .success(.some) = result {} else { requests.propose(.revoke(lease.id)) { _ in } }
                done()
            }
        }
    }

    private func remove(
        _ definition: CheckSchedule.Definition, _ live: KeyValue?, withDefinition: Bool, _ done: @escaping () -> Void
    ) {
        guard live != nil || withDefinition else { return done() }
        let (service, id) = (definition.service, definition.id)
        let transaction = Transaction(
            comparisons: unchanged(definition, live),
            success: registrar.layout.deletes(service, id)
                + (withDefinition ? [ServiceLayout.deleteCheck(service, id)] : []))
        registrar.commit(transaction, requests) { [self] result in
            if case .success(.some) = result, let live, live.lease != .none, live.value == definition.value {
                requests.propose(.revoke(live.lease)) { _ in }
            }
            done()
        }
    }

    private func unchanged(_ definition: CheckSchedule.Definition, _ live: KeyValue?) -> [Comparison] {
        let (service, id) = (definition.service, definition.id)
        return [
            Comparison(
                KeyRange(key: ServiceLayout.checkKey(service, id)), .equal,
                .modRevision(definition.modRevision.rawValue)),
            .unchanged(ServiceLayout.key(service, id), live),
        ]
    }
}
