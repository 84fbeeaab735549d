import Foundation
import MVCC
import NIOCore
import PlatformPOSIX
import Synchronization

/// Computes the state's hash for other members that ask, one at a time, on a thread of its own.
final class HashDesk: Sendable {
    struct Question: Hashable, Sendable {
        /// Up to where.
        var revision: Revision
        /// What to leave out as compacted, at least.
        var compaction: Revision
    }

    enum Answer: Hashable, Sendable {
        case hash(HashAnswer)
        case none(PeerHash.State)
    }

    /// Answers that nobody has fetched yet.
    static let answersMax = 8
    /// So long they are kept: what is asked for later may have changed on the disk since.
    static let answersKept = TimeAmount.seconds(60)
    private static let rowsPerStep = 8_192

    private struct Finished: Sendable {
        var question: Question
        var answer: HashAnswer
        var at: NIODeadline
    }

    private struct State: Sendable {
        var view: (@Sendable () -> ReadView?)?
        var failed: (@Sendable (StateError) -> Void)?
        var running: Question?
        var finished: [Finished] = []
    }

    private let state = Mutex(State())

    /// - Parameters:
    ///   - view: what there is to hash; nil while the member has no state.
    ///   - failed: told that the state is damaged.
    func open(view: @escaping @Sendable () -> ReadView?, failed: @escaping @Sendable (StateError) -> Void) {
        state.withLock { state in
            state.view = view
            state.failed = failed
        }
    }

    /// The hash if it is there; otherwise it is begun, and asked for again.
    func answer(_ question: Question, now: NIODeadline = .now()) -> Answer {
        let view: ReadView?
        do {
            let answer: Answer? = state.withLock { state in
                state.finished.removeAll { now - $0.at > Self.answersKept }
                // Handed out once: the next one who asks wants to know how it is then.
                if let place = state.finished.firstIndex(where: { $0.question == question }) {
                    return .hash(state.finished.remove(at: place).answer)
                }
                guard let running = state.running else { return nil }
                return .none(running == question ? .pending : .busy)
            }
            if let answer { return answer }
            view = state.withLock { $0.view }?()
        }
        guard let view else { return .none(.starting) }
        let scan: HashScan
        do throws(RequestError) {
            scan = try view.hashScan(at: question.revision, compactedAt: question.compaction)
        } catch {
            return .none(error == .futureRevision ? .behind : .compacted)
        }
        let isFirst = state.withLock { state in
            guard state.running == nil else { return false }
            state.running = question
            return true
        }
        guard isFirst else { return .none(.busy) }
        SystemThread.start(name: "hash") { [self] in run(scan, question) }
        return .none(.pending)
    }

    private func run(_ scan: HashScan, _ question: Question) {
        do throws(StateError) {
            let answer = try Self.finish(scan)
            state.withLock { state in
                state.running = nil
                if state.finished.count == Self.answersMax { state.finished.removeFirst() }
                state.finished.append(Finished(question: question, answer: answer, at: .now()))
            }
        } catch {
            state.withLock { $0.running = nil }
            state.withLock { $0.failed }?(error)
        }
    }

    /// The whole walk, in steps: in between, others get the processor.
    static func finish(_ scan: HashScan) throws(StateError) -> HashAnswer {
        var scan = scan
        while true {
            if let answer = try scan.step(maxRows: rowsPerStep) { return answer }
            sched_yield()
        }
    }
}
