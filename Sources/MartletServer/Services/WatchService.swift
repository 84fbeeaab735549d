import EtcdAPI
import HTTP2
import MVCC
import NIOCore
import Raft
import RaftCore
import Replica
import Synchronization

/// `etcdserverpb.Watch`: streams of requests in, and of responses out. What a watcher gets and when is the watch loops'
/// business; here are the stream and its messages.
final class WatchService: Sendable {
    struct Options: Sendable {
        var limits = WatchLimits()
        /// How long a watcher that asked for it hears nothing, before it is told that nothing happened (A8). Up to a
        /// tenth is added, so that streams which were opened together do not all speak at once.
        var progressInterval = TimeAmount.minutes(10)
        /// A stream that wants a leader ends after three of these without one (A13).
        var electionTimeout = TimeAmount.seconds(1)
    }

    let context: ServiceContext
    let options: Options
    private let loops: [LoopWatches]

    init(context: ServiceContext, feed: WatchFeed, options: Options, eventLoops: [any EventLoop]) {
        self.context = context
        self.options = options
        loops = eventLoops.map { LoopWatches(eventLoop: $0, context: context, feed: feed, options: options) }
    }

    func register(in methods: inout GRPCMethods) {
        methods.register(.watch, .streaming { [self] call in open(call) })
    }

    /// Ends all streams: their clients go to other members. Without it they would hold up the server's end.
    func stop() {
        for loop in loops { loop.eventLoop.execute { loop.endAll(GRPCStatus(EtcdError.stopped)) } }
    }

    func watches(on eventLoop: any EventLoop) -> LoopWatches {
        for loop in loops where loop.eventLoop === eventLoop { return loop }
        preconditionFailure("a call on an event loop that is not the server's")
    }

    /// How many watchers there are, on all event loops.
    func watcherCount(on eventLoop: any EventLoop) -> EventLoopFuture<Int> {
        let counts = loops.map { loop in loop.eventLoop.submit { loop.loop.watcherCount } }
        return EventLoopFuture.whenAllSucceed(counts, on: eventLoop).map { $0.reduce(0, +) }
    }

    private func open(_ call: GRPCCall) -> any GRPCStreamReceiver {
        let status = context.node.published.status
        let stream = WatchCall(call, watches(on: call.eventLoop))
        if status.isLearner {
            stream.end(GRPCStatus(EtcdError.notSupportedForLearner))
        } else if call.metadata("hasleader") == "true" {
            // There is one now (``CallGate``).
            stream.needsLeader = true
            stream.watches.watchLeader()
        }
        return stream
    }
}

/// A call that lasts until something happens: it ends with the server, and, if its client wants that, with the leader.
protocol OpenWait: AnyObject {
    var needsLeader: Bool { get }
    func end(_ status: GRPCStatus)
}

/// The watches of one event loop.
final class LoopWatches: @unchecked Sendable {  // used on its event loop only, but for the schedule of turns
    let eventLoop: any EventLoop
    let context: ServiceContext
    let options: WatchService.Options
    private(set) var loop: WatchLoop!
    private var calls: [ObjectIdentifier: any OpenWait] = [:]
    private var leaderCheck: RepeatedTask?
    private var checksWithoutLeader = 0
    /// Long pieces of the arena that was sent from last: one copy serves all that get them.
    private var shared: (arenaNumber: UInt64, pieces: [Range<Int>: ByteBuffer]) = (0, [:])

    /// As in etcd.
    private static let checksWithoutLeaderMax = 3

    init(eventLoop: any EventLoop, context: ServiceContext, feed: WatchFeed, options: WatchService.Options) {
        self.eventLoop = eventLoop
        self.context = context
        self.options = options
        loop = WatchLoop(
            feed: feed, limits: options.limits, newestView: { context.node.published.view.store },
            encoder: EtcdEventEncoder(),
            schedule: { [weak self] in
                guard let self else { return }
                eventLoop.execute { self.takeTurn() }
            },
            failed: { error in context.node.fail(NodeFailure(part: .engine, reason: "\(error)")) })
    }

    private func takeTurn() {
        let flushes = FlushCoordinator.on(eventLoop)
        flushes.beginBatch()
        loop.takeTurn()
        shared.pieces = [:]
        flushes.endBatch()
    }

    func add(_ call: any OpenWait) { calls[ObjectIdentifier(call)] = call }
    func remove(_ call: any OpenWait) { calls[ObjectIdentifier(call)] = nil }

    func endAll(_ status: GRPCStatus) {
        for call in Array(calls.values) { call.end(status) }
    }

    /// A piece of the arena as a buffer that can wait on many streams at once.
    func share(_ piece: Range<Int>, of events: WatchEventBytes) -> ByteBuffer {
        if shared.arenaNumber != events.arenaNumber { shared = (events.arenaNumber, [:]) }
        if let buffer = shared.pieces[piece] { return buffer }
        let buffer = ByteBuffer(bytes: UnsafeRawBufferPointer(rebasing: events.arena[piece]))
        shared.pieces[piece] = buffer
        return buffer
    }

    /// Looks for a leader from time to time, while there are streams that want one.
    func watchLeader() {
        guard leaderCheck == nil else { return }
        checksWithoutLeader = 0
        leaderCheck = eventLoop.scheduleRepeatedTask(
            initialDelay: options.electionTimeout, delay: options.electionTimeout
        ) { [self] _ in checkLeader() }
    }

    private func checkLeader() {
        let concerned = calls.values.filter(\.needsLeader)
        guard !concerned.isEmpty else {
            leaderCheck?.cancel()
            leaderCheck = nil
            return
        }
        checksWithoutLeader = context.node.published.status.leader == nil ? checksWithoutLeader + 1 : 0
        guard checksWithoutLeader >= Self.checksWithoutLeaderMax else { return }
        for call in concerned { call.end(GRPCStatus(EtcdError.noLeader)) }
    }
}

/// Events as etcd's clients read them.
private struct EtcdEventEncoder: WatchEventEncoder {
    func append(
        _ kind: Change.Kind, _ keyValue: BorrowedKeyValue, previous: BorrowedKeyValue?, to bytes: inout [UInt8]
    ) {
        let event = EventView(
            isDelete: kind == .delete, kv: WireKeyValue(keyValue), prevKV: previous.map { WireKeyValue($0) })
        bytes.reserve(WireWatchEvents.size(of: event))
        WireWatchEvents.append(event, to: &bytes)
    }
}
