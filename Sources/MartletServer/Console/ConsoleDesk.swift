import EtcdAPI
import Foundation
import HTTP2
import MVCC
import NIOCore
import PeerTransportNIO
import Raft
import RaftCore
import Replica
import Synchronization

/// Gathers what the console is told. Nothing is counted for it alone and nothing runs while nobody asks.
final class ConsoleDesk: Sendable {
    let context: ServiceContext
    private let dataDirectory: String
    private let transport: @Sendable () -> TransportStatistics
    private let watchers: @Sendable (any EventLoop) -> EventLoopFuture<Int>
    private let parts = Mutex(Parts())

    /// What is made after the routes are.
    private struct Parts: Sendable {
        var server: GRPCServer?
        var hasGateway = false
        var hasServices = false
    }

    /// A leader that is busy for longer says nothing of the others' logs.
    private static let patience = TimeAmount.milliseconds(500)

    init(
        context: ServiceContext, dataDirectory: String,
        transport: @escaping @Sendable () -> TransportStatistics,
        watchers: @escaping @Sendable (any EventLoop) -> EventLoopFuture<Int>
    ) {
        self.context = context
        self.dataDirectory = dataDirectory
        self.transport = transport
        self.watchers = watchers
    }

    /// From now on there are calls that are counted.
    func start(_ grpc: GRPCServer, _ router: PlainRouter) {
        parts.withLock { parts in
            parts.server = grpc
            parts.hasGateway = router.serves("/v3/kv/range")
            parts.hasServices = router.serves("/service")
        }
    }

    /// As they are known now.
    var members: [Member] { context.node.published.view.members }

    /// On the event loop.
    func data(on eventLoop: any EventLoop) -> EventLoopFuture<ConsoleData> {
        let nothing = eventLoop.makeSucceededFuture([GRPCMethodCounters]())
        let counters = parts.withLock { $0.server }?.counters(on: eventLoop) ?? nothing
        return counters.and(watchers(eventLoop)).and(leading(on: eventLoop)).map { [self] answers in
            let ((counters, watchers), leading) = answers
            return gather(counters: counters, watchers: watchers, leading: leading)
        }
    }

    /// What this member knows as the leader; nil where it is none.
    private func leading(on eventLoop: any EventLoop) -> EventLoopFuture<RaftCore.Status?> {
        guard context.node.published.status.role == .leader else { return eventLoop.makeSucceededFuture(nil) }
        let answer = eventLoop.makePromise(of: RaftCore.Status?.self)
        let isOver = NIOLoopBoundBox(false, eventLoop: eventLoop)
        let conclude: @Sendable (RaftCore.Status?) -> Void = { status in
            guard !isOver.value else { return }
            isOver.value = true
            answer.succeed(status)
        }
        let limit = eventLoop.scheduleTask(in: Self.patience) { conclude(nil) }
        context.node.status(
            AwaitedReply<RaftCore.Status>.ticket(on: eventLoop) { result in
                limit.cancel()
                conclude((try? result.get()).flatMap { $0.role == .leader ? $0 : nil })
            })
        return answer.futureResult
    }

    // MARK: Putting it together

    private func gather(counters: [GRPCMethodCounters], watchers: Int, leading: RaftCore.Status?) -> ConsoleData {
        let published = context.node.published
        let view = published.view
        let process = ProcessFigures.now(countsDescriptors: false)
        let syncs = published.logSyncs.snapshot
        let parts = parts.withLock { $0 }
        let sizes = context.sizes.told
        return ConsoleData(
            atNanoseconds: NIODeadline.now().uptimeNanoseconds, clusterID: hex(context.clusterID),
            hasGateway: parts.hasGateway, hasServices: parts.hasServices, own: own(view, leading),
            disk: ConsoleData.Disk(
                sizeBytes: sizes.total, inUseBytes: sizes.inUse,
                quotaBytes: context.limits.quotaBytes, freeBytes: Self.freeBytes(of: dataDirectory)),
            process: ConsoleData.Process(
                residentBytes: process.residentBytes, cpuSeconds: process.cpuSeconds, threads: process.threads),
            traffic: traffic(counters, watchers: watchers),
            times: ConsoleData.Times(
                writes: Self.trimmed(context.times.writes.snapshot), reads: Self.trimmed(context.times.reads.snapshot),
                syncCount: syncs.counts.reduce(0, +), syncNanoseconds: syncs.sumNanoseconds,
                lastSyncNanoseconds: published.lastSyncNanoseconds.load(ordering: .relaxed)),
            members: members(view, leading),
            alarms: view.alarms.map {
                ConsoleData.RaisedAlarm(member: hex($0.member), kind: ActiveAlarm.Kind($0.kind).rawValue)
            })
    }

    /// A leader's indexes are of the moment at which it looked at the others'.
    private func own(_ view: ReplicaView, _ leading: RaftCore.Status?) -> ConsoleData.Own {
        let published = context.node.published
        let status = published.status
        return ConsoleData.Own(
            id: hex(context.memberID.rawValue), role: status.isLearner ? "learner" : "\(status.role)",
            term: status.term.rawValue, leader: status.leader.map { hex($0.rawValue) },
            commit: (leading?.commit ?? status.commit).rawValue, applied: (leading?.applied ?? status.applied).rawValue,
            lastIndex: (leading?.lastIndex ?? status.lastIndex).rawValue, revision: view.store.revision.rawValue,
            compactRevision: view.store.compactRevision.rawValue, leaderChanges: status.leaderChanges,
            pending: max(0, published.pendingProposals.load(ordering: .relaxed)),
            failure: status.failure.map { "\($0)" }, version: MartletVersion.martlet,
            etcdVersion: MaintenanceService.etcdVersion,
            uptimeSeconds: max(0, Date().timeIntervalSince1970 - ProcessFigures.startTime))
    }

    private func members(_ view: ReplicaView, _ leading: RaftCore.Status?) -> [ConsoleData.Peer] {
        let links = transport().peers
        return view.members.map { member in
            let link = links.first { $0.node == member.id }
            let log = leading?.peers.first { $0.id == member.id }
            return ConsoleData.Peer(
                id: hex(member.id.rawValue), name: member.name, peerURLs: member.peerURLs,
                clientURLs: member.clientURLs, isLearner: view.configuration.learners.contains(member.id),
                link: link.map {
                    ConsoleData.Link(
                        isConnected: $0.isConnected, roundTripNanoseconds: $0.roundTrips.lastNanoseconds)
                },
                log: log.flatMap { log in
                    guard let leading else { return nil }
                    return ConsoleData.Log(
                        match: log.match.rawValue,
                        lag: leading.lastIndex.rawValue - min(log.match.rawValue, leading.lastIndex.rawValue),
                        state: "\(log.state)", isActive: log.isRecentlyActive || log.id == leading.id)
                })
        }
    }

    private func traffic(_ counters: [GRPCMethodCounters], watchers: Int) -> ConsoleData.Traffic {
        var calls: [String: ConsoleData.Calls] = [:]
        var watchMessages: UInt64 = 0
        for line in counters {
            let method = EtcdMethod(rawValue: line.path)
            var sum = calls[Self.name(of: method)] ?? ConsoleData.Calls()
            let ended = line.handled.reduce(0, +)
            sum.ended += ended
            // Who cancels, as everybody does in the end who watches, was not refused anything.
            sum.failed += [GRPCCode.ok, .cancelled].reduce(ended) { $0 - line.handled[Int($1.rawValue)] }
            calls[Self.name(of: method)] = sum
            if method == .watch { watchMessages = line.messagesSent }
        }
        let server = parts.withLock { $0.server }
        return ConsoleData.Traffic(
            calls: calls, receivedBytes: counters.reduce(0) { $0 + $1.bytesReceived },
            sentBytes: counters.reduce(0) { $0 + $1.bytesSent }, connections: server?.connectionCount ?? 0,
            watchers: watchers, watchMessages: watchMessages)
    }

    private static func name(of method: EtcdMethod?) -> String {
        switch method {
        case .range, .rangeStream: "range"
        case .put: "put"
        case .deleteRange: "delete"
        case .txn: "txn"
        default: "other"
        }
    }

    private static func trimmed(_ counts: [UInt64]) -> [UInt64] {
        Array(counts[...(counts.lastIndex { $0 > 0 } ?? 0)])
    }

    private static func freeBytes(of directory: String) -> Int? {
        var figures = statvfs()
        guard statvfs(directory, &figures) == 0 else { return nil }
        return Int(clamping: UInt64(figures.f_bavail) * UInt64(figures.f_frsize))
    }
}
