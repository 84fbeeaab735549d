import Logging
import MVCC
import NIOCore
import Raft
import Replica

/// Has an ``AutoCompaction`` look again and again, on an event loop, and proposes what it says: an entry in the log, as
/// a client's would be.
final class AutoCompactor: Sendable {
    /// What a look sees.
    struct Sight: Sendable {
        var revision: Revision
        var compactRevision: Revision
        var isLeader: Bool
    }

    struct World: Sendable {
        /// Nanoseconds of a clock that only moves forward.
        var now: @Sendable () -> UInt64
        var sight: @Sendable () -> Sight
        /// Compacts, and says on the event loop why it did not; nil where it did.
        var compact: @Sendable (Revision, @escaping (_ failure: String?) -> Void) -> Void
    }

    /// On the event loop.
    private struct Course {
        var compaction: AutoCompaction
        var isUnderWay = false
        var timer: RepeatedTask?
    }

    private let world: World
    private let logger: Logger
    private let lookNanoseconds: UInt64
    private let eventLoop: any EventLoop
    private let course: NIOLoopBoundBox<Course>

    /// On the event loop, or before it runs anything of this.
    init(_ rule: AutoCompaction.Rule, on eventLoop: any EventLoop, world: World, logger: Logger) {
        self.world = world
        self.logger = logger
        self.eventLoop = eventLoop
        lookNanoseconds = rule.lookNanoseconds
        course = .makeBoxSendingValue(
            Course(compaction: AutoCompaction(rule, revision: world.sight().revision, now: world.now())),
            eventLoop: eventLoop)
    }

    func start() {
        eventLoop.execute { [self] in
            let interval = TimeAmount.nanoseconds(Int64(lookNanoseconds))
            course.value.timer = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [self] _ in
                look()
            }
        }
    }

    func stop() {
        eventLoop.execute { [self] in
            course.value.timer?.cancel()
            course.value.timer = nil
        }
    }

    /// On the event loop.
    func look() {
        let sight = world.sight()
        // While one is on its way the looks go on, or there would be a hole in what was noted.
        let isLeader = sight.isLeader && !course.value.isUnderWay
        guard
            let revision = course.value.compaction.look(
                now: world.now(), revision: sight.revision, isLeader: isLeader)
        else { return }
        // By hand, or by who led before.
        guard revision > sight.compactRevision else {
            return course.value.compaction.compacted(at: revision, now: world.now())
        }
        let what: Logger.Metadata = ["revision": "\(revision.rawValue)"]
        logger.info("starting auto compaction", metadata: what)
        course.value.isUnderWay = true
        world.compact(revision) { [self] failure in
            course.value.isUnderWay = false
            if let failure {
                logger.warning(
                    "failed auto compaction; the next look tries again",
                    metadata: ["revision": "\(revision.rawValue)", "error": "\(failure)"])
            } else {
                course.value.compaction.compacted(at: revision, now: world.now())
                logger.info("completed auto compaction", metadata: what)
            }
        }
    }
}

extension AutoCompactor.World {
    /// The member's own: its published state, and proposals that leave from that event loop.
    init(_ context: ServiceContext, on eventLoop: any EventLoop) {
        now = { NIODeadline.now().uptimeNanoseconds }
        sight = {
            let published = context.node.published
            let store = published.view.store
            return AutoCompactor.Sight(
                revision: store.revision, compactRevision: store.compactRevision,
                isLeader: published.status.role == .leader)
        }
        compact = { revision, done in
            let payload = CommandCodec.encode(
                .compact(Compaction(revision: revision, physical: false)),
                prefixBytes: LoopRequests.commandPrefixBytes)
            context.requests(on: eventLoop).propose(payload) { result in
                switch result {
                case .success(.keyValue(let outcome)):
                    // Compacted up to there already, or further: what was wanted.
                    if case .failed(let error) = outcome.result, error != .compacted { return done(error.message) }
                    done(nil)
                case .success: done("an answer of another kind")
                case .failure(let failure): done("\(failure)")
                }
            }
        }
    }
}
