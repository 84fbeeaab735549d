import MVCC
import Replica
import StorageEngine

/// Whether those who watched were told what happened: all of it from where they began, once, in order, each change as
/// the log made it; nothing promised that was not given; and nothing left out but what they were told was compacted.
struct WatchChecker {
    struct Violation: Error, CustomStringConvertible {
        var description: String
    }

    private var history: [SimulatedEvent] = []

    /// - Parameter applied: the log's commands, in their order.
    init(applied: [[UInt8]]) throws {
        var state = try State(store: LayeredStore(engine: MemoryEngine()))
        state.recordsChanges = true
        var index: UInt64 = 0
        for command in applied where command.first == CommandRoom.keyValue.rawValue {
            index += 1
            _ = try command.withUnsafeBytes { bytes in
                try state.apply(
                    encoded: UnsafeRawBufferPointer(rebasing: bytes[1...]), at: LogPosition(index: index, term: 1))
            }
            history += state.takeChanges().map { SimulatedEvent(kind: $0.kind, keyValue: $0.keyValue) }
        }
    }

    func check(_ watcher: SimulatedWatcher) throws(Violation) {
        guard let start = watcher.start else { return }
        let expected = history.filter { event in
            event.revision >= start && event.revision < watcher.next && watcher.range.contains(event.keyValue.key)
                && !watcher.holes.contains { $0.contains(event.revision) }
        }
        for (place, event) in watcher.events.enumerated() {
            guard place < expected.count else {
                throw Violation(description: "a watcher was told of \(describe(event)) beyond the history's end")
            }
            guard event == expected[place] else {
                throw Violation(
                    description: "a watcher from revision \(start) on was told of \(describe(event)), where "
                        + "\(describe(expected[place])) was due")
            }
        }
        if watcher.events.count < expected.count {
            throw Violation(
                description: "a watcher stands at revision \(watcher.next - 1) and was never told of "
                    + describe(expected[watcher.events.count]))
        }
        for promise in watcher.promises {
            let due = expected.prefix { $0.revision <= promise.revision }.count
            guard promise.events >= due else {
                throw Violation(
                    description: "a watcher was promised to have everything through revision \(promise.revision) "
                        + "when it had \(promise.events) of \(due) events")
            }
        }
    }

    private func describe(_ event: SimulatedEvent) -> String {
        "the \(event.kind) of \(String(decoding: event.keyValue.key, as: UTF8.self)) at \(event.revision)"
    }
}
