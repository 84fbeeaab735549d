import MVCC
import Replica

/// Whether those who watched were told what happened: all that they asked for from where they began, once, in order,
/// each change as the log made it, and the pair before it as it was; nothing promised that was not given; and nothing
/// left out but what they were told was compacted.
struct WatchChecker {
    struct Violation: Error, CustomStringConvertible {
        var description: String
    }

    private let history: [StoreModel.Event]
    private let compactRevision: Int64

    init(_ model: StoreModel) {
        history = model.events
        compactRevision = model.compactRevision
    }

    func check(_ watcher: SimulatedWatcher) throws(Violation) {
        if let complaint = watcher.complaint { throw Violation(description: complaint) }
        guard let start = watcher.start else { return }
        let request = watcher.request
        let slice = history.filter { event in
            event.revision >= start && request.range.contains(event.keyValue.key)
                && !(event.kind == .put ? request.ignoresPuts : request.ignoresDeletes)
                && !watcher.holes.contains { $0.contains(event.revision) }
        }
        let expected = slice.prefix { $0.revision < watcher.next }
        for (place, event) in watcher.events.enumerated() {
            guard place < expected.count else {
                throw Violation(description: "a watcher was told of \(describe(event)) beyond the history's end")
            }
            let due = expected[place]
            guard event.kind == due.kind, event.keyValue == due.keyValue else {
                throw Violation(
                    description: "a watcher from revision \(start) on was told of \(describe(event)), where "
                        + "\(describe(due.kind, due.keyValue)) was due")
            }
            guard isRight(event, due, isWanted: request.wantsPrevious) else {
                throw Violation(
                    description: "a watcher was told of \(describe(event)) with another pair before it "
                        + "(\(describe(event.previous)), not \(describe(due.previous)))")
            }
        }
        if watcher.events.count < expected.count {
            let due = expected[watcher.events.count]
            throw Violation(
                description: "a watcher stands at revision \(watcher.next - 1) and was never told of "
                    + describe(due.kind, due.keyValue))
        }
        for promise in watcher.promises {
            let due = slice.prefix { $0.revision <= promise.revision }.count
            guard promise.events >= due else {
                throw Violation(
                    description: "a watcher was promised to have everything through revision \(promise.revision) "
                        + "when it had \(promise.events) of \(due) events")
            }
        }
        if let hole = watcher.holes.last, hole.upperBound > compactRevision {
            throw Violation(
                description: "a watcher was told of a compaction at \(hole.upperBound), and there is none after "
                    + "\(compactRevision)")
        }
    }

    /// The pair before comes only if it is asked for, and is missing only where there was none, or where the member had
    /// compacted the revision of the change, or a later one (A6).
    private func isRight(_ event: SimulatedEvent, _ due: StoreModel.Event, isWanted: Bool) -> Bool {
        guard isWanted, let previous = due.previous else { return event.previous == nil }
        if event.previous == nil { return event.compacted >= event.revision }
        return event.previous == previous
    }

    private func describe(_ event: SimulatedEvent) -> String { describe(event.kind, event.keyValue) }

    private func describe(_ kind: Change.Kind, _ keyValue: KeyValue) -> String {
        "the \(kind) of \(String(decoding: keyValue.key, as: UTF8.self)) at \(keyValue.modRevision.rawValue)"
    }

    private func describe(_ pair: KeyValue?) -> String {
        pair.map { "that of revision \($0.modRevision.rawValue)" } ?? "none"
    }
}
