import Foundation
import Logging
import MVCC
import NIOCore
import PlatformPOSIX
import Raft
import RaftCore
import Replica
import Synchronization

/// Compares the members' hashes, before clients are served and then by the clock, and raises CORRUPT where they differ
/// (M6). Nothing is ever mended by guessing which one is right.
///
/// There are two kinds of hashes. Running ones tell soon that members made different things of the log, and cost
/// nothing; walks through the whole state tell of rows that changed afterwards, too.
final class CorruptionCheck: Sendable {
    struct Options: Sendable {
        /// How often all that the leader has is compared; zero: never.
        var interval = Duration.zero
        /// How often it is looked whether there is a compaction that was not compared; nil: never.
        var compactionInterval: Duration?
        /// How often running hashes are compared; zero: never.
        var runningInterval = Duration.zero

        init(_ configuration: ServerConfiguration) {
            interval = configuration.corruptCheckTime
            compactionInterval = configuration.compactHashCheck ? configuration.compactHashCheckTime : nil
            runningInterval = configuration.runningHashCheckTime
        }

        var isOff: Bool { interval <= .zero && compactionInterval == nil && runningInterval <= .zero }
    }

    private let context: ServiceContext
    private let options: Options
    private let runningHashes: RunningHashes
    private let comparison: HashComparison
    private let logger: Logger
    private let eventLoop: any EventLoop
    private let isOver: Over

    /// Whether the end has begun.
    private final class Over: Sendable {
        let flag = Atomic<Bool>(false)
    }

    init(
        context: ServiceContext, options: Options, runningHashes: RunningHashes, logger: Logger,
        eventLoop: any EventLoop
    ) {
        self.context = context
        self.options = options
        self.runningHashes = runningHashes
        self.logger = logger
        self.eventLoop = eventLoop
        let isOver = Over()
        self.isOver = isOver
        var comparison = HashComparison(own: context.memberID, clusterID: context.clusterID)
        comparison.isCancelled = { isOver.flag.load(ordering: .relaxed) }
        self.comparison = comparison
    }

    func stop() { isOver.flag.store(true, ordering: .relaxed) }

    // MARK: At the start

    /// Compares what this member has with what the others have. A member that cannot show that most others have the
    /// same does not start; one that nobody could be compared with does, as in etcd.
    /// - Parameter isCancelled: whether to leave it, since the member is to stop.
    func checkAtStart(isCancelled: @escaping @Sendable () -> Bool) throws(ConfigurationError) {
        var comparison = comparison
        comparison.isCancelled = isCancelled
        let view = context.node.published.view
        guard view.members.contains(where: { $0.id == context.memberID }), view.members.count > 1 else { return }
        guard let findings = compare(view, at: view.store.revision, "at the start", comparison) else {
            if let failure = context.node.published.status.failure {
                throw ConfigurationError("the member cannot start: \(failure)")
            }
            return
        }
        switch findings.judgement {
        case .alike: return
        case .differing(let members) where !members.contains(context.memberID.rawValue):
            // It is the others who are wrong, and most have what this one has.
            raise(findings, at: view.store.revision, "at the start")
        case .differing, .undecided:
            let others = findings.hashes.dropFirst().map { "member \(hex($0.member)) \(hex(UInt64($0.hash)))" }
            throw ConfigurationError(
                "the data of this member is not what others have at revision \(view.store.revision.rawValue): its hash "
                    + "is \(hex(UInt64(findings.hashes[0].hash))), that of " + others.joined(separator: ", ")
                    + ". It does not start, so that nobody reads what is wrong. If most others agree, remove this "
                    + "member (martlet member remove \(hex(context.memberID.rawValue))) and add it again with an empty "
                    + "directory; if not, compare the members' backups first")
        }
    }

    // MARK: By the clock

    /// The leader compares; all members run the clock, since anyone may lead next.
    func start() {
        guard !options.isOff else { return }
        SystemThread.start(name: "corruption") { [self] in
            var next = NIODeadline.now() + TimeAmount(options.interval)
            var nextCompaction = NIODeadline.now() + TimeAmount(options.compactionInterval ?? .zero)
            var comparedCompaction = Revision.neverCompacted
            var nextRunning = NIODeadline.now() + TimeAmount(options.runningInterval)
            var comparedIndex = LogIndex.zero
            while !isOver.flag.load(ordering: .relaxed), context.node.published.status.failure == nil {
                Thread.sleep(forTimeInterval: 0.1)
                if options.runningInterval > .zero, .now() >= nextRunning {
                    checkRunning(after: &comparedIndex)
                    nextRunning = .now() + TimeAmount(options.runningInterval)
                }
                if options.interval > .zero, .now() >= next {
                    checkAll()
                    next = .now() + TimeAmount(options.interval)
                }
                if let interval = options.compactionInterval, .now() >= nextCompaction {
                    checkCompaction(after: &comparedCompaction)
                    nextCompaction = .now() + TimeAmount(interval)
                }
            }
        }
    }

    private var leads: Bool { context.node.published.status.leader == context.memberID }

    private func checkAll() {
        guard leads else { return }
        let view = context.node.published.view
        guard let findings = compare(view, at: view.store.revision, "by the clock", comparison) else { return }
        raise(findings, at: view.store.revision, "by the clock")
    }

    /// What a compaction has left is compared once, when all have answered.
    private func checkCompaction(after compared: inout Revision) {
        guard leads else { return }
        let view = context.node.published.view
        let revision = view.store.compactRevision
        guard revision > compared, let findings = compare(view, at: revision, "after a compaction", comparison) else {
            return
        }
        if findings.silent.isEmpty { compared = revision }
        raise(findings, at: revision, "after a compaction")
    }

    /// Nothing is asked while nothing is applied and all have answered.
    private func checkRunning(after compared: inout LogIndex) {
        guard leads, let newest = runningHashes.newest, newest.index > compared else { return }
        var comparison = RunningHashComparison(own: context.memberID, clusterID: context.clusterID)
        comparison.isCancelled = { [isOver] in isOver.flag.load(ordering: .relaxed) }
        let findings = comparison.run(context.node.published.view.members, after: newest.index, newest.hash)
        if findings.silent.isEmpty { compared = newest.index }
        for (member, reason) in findings.silent {
            logger.debug(
                "a member's running hash was not compared",
                metadata: ["peer-id": "\(hex(member))", "reason": "\(reason)"])
        }
        raise(findings, at: context.node.published.view.store.revision, "as they were applied")
    }

    // MARK: What all do

    private func compare(
        _ view: ReplicaView, at revision: Revision, _ when: String, _ comparison: HashComparison
    ) -> HashComparison.Findings? {
        do throws(StateError) {
            guard let findings = try comparison.run(view, at: revision) else {
                logger.info(
                    "the members' data was not compared: the revision was compacted meanwhile",
                    metadata: ["revision": "\(revision.rawValue)", "when": "\(when)"])
                return nil
            }
            for (member, reason) in findings.silent {
                logger.warning(
                    "a member's data was not compared",
                    metadata: ["peer-id": "\(hex(member))", "reason": "\(reason)", "when": "\(when)"])
            }
            if findings.judgement == .alike {
                logger.info(
                    "compared the members' data",
                    metadata: [
                        "revision": "\(revision.rawValue)", "members": "\(findings.hashes.count)",
                        "hash": "\(hex(UInt64(findings.hashes[0].hash)))", "when": "\(when)",
                    ])
            }
            return findings
        } catch {
            // This member's own data cannot be read: it stops, as wherever that is found.
            context.node.fail(NodeFailure(part: .engine, reason: "\(error)"))
            return nil
        }
    }

    private func raise(_ findings: HashComparison.Findings, at revision: Revision, _ when: String) {
        let members: [UInt64]
        switch findings.judgement {
        case .alike: return
        case .differing(let differing): members = differing
        // Nobody is named, and the cluster stops all the same.
        case .undecided: members = [0]
        }
        // As things are now: the walk took its time, and who was removed meanwhile harms nobody.
        let view = context.node.published.view
        let alarms = members
            .filter { member in member == 0 || view.members.contains { $0.id.rawValue == member } }
            .map { Alarm(.corrupt, member: $0) }
            .filter { !view.alarms.contains($0) }
        guard !alarms.isEmpty else { return }
        logger.critical(
            "the members' data differs: raising the alarm CORRUPT",
            metadata: [
                "revision": "\(revision.rawValue)", "when": "\(when)",
                "hashes":
                    "\(findings.hashes.map { "\(hex($0.member))=\(hex(UInt64($0.hash)))" }.joined(separator: ","))",
                "corrupt": "\(members.map { $0 == 0 ? "not known" : hex($0) }.joined(separator: ","))",
            ])
        for alarm in alarms { context.raise(alarm, on: eventLoop) }
    }
}
