import Foundation
import MVCC
import NIOCore
import PlatformPOSIX
import Raft
import RaftCore
import Replica
import Synchronization

/// Measures how much the state has grown, and raises NOSPACE for this member when it has reached the quota, whoever let
/// the writes in: followers have engines too, and their own quotas.
///
/// A thread of its own, since measuring walks LMDB's list of free pages.
final class SpaceWatch: Sendable {
    static let interval = 0.1

    private let context: ServiceContext
    private let eventLoop: any EventLoop
    private let isOver = Atomic<Bool>(false)

    init(context: ServiceContext, eventLoop: any EventLoop) {
        self.context = context
        self.eventLoop = eventLoop
    }

    /// Measures once, so that the first request finds the truth, and goes on doing so.
    func start() {
        guard context.space.bytesMax != nil else { return }
        var looks = Looks()
        // As in etcd, a member that starts over its quota waits for a write.
        looks.quietAt = context.node.published.view.store.revision
        look(&looks)
        SystemThread.start(name: "quota") { [self, first = looks] in
            var looks = first
            while !isOver.load(ordering: .relaxed), context.node.published.status.failure == nil {
                Thread.sleep(forTimeInterval: Self.interval)
                look(&looks)
            }
        }
    }

    func stop() { isOver.store(true, ordering: .relaxed) }

    private struct Looks: Sendable {
        var applied: UInt64?
        var admitted = -1
        var growth: GrowthMeter.Reading?
        /// The revision when the alarm was asked for, or raised: without a write since, one that was disarmed stays so.
        var quietAt: Revision?
    }

    private func look(_ looks: inout Looks) {
        let space = context.space
        let admitted = space.admittedBytes
        let view = context.node.published.view
        let growth = context.sizes.growth.reading
        guard view.store.applied.index != looks.applied || admitted != looks.admitted || growth != looks.growth else {
            return
        }
        // What could not be measured is measured next time.
        guard context.measureSpace() else { return }
        looks.applied = view.store.applied.index
        looks.admitted = admitted
        looks.growth = growth
        let alarm = Alarm(.noSpace, member: context.memberID.rawValue)
        let isRaised = view.alarms.contains(alarm)
        guard space.isFull || isRaised else { return }
        defer { looks.quietAt = view.store.revision }
        guard !isRaised, looks.quietAt != view.store.revision, !view.members.isEmpty else { return }
        eventLoop.execute { [context, eventLoop] in
            context.measureSpaceAnew(on: eventLoop) {
                if space.isFull { context.requests(on: eventLoop).propose(.activate(alarm)) { _ in } }
            }
        }
    }
}
