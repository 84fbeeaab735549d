import Synchronization

/// Hands events to all who listen. Each has a queue of its own; of what it does not fetch, the oldest go.
final class EventHub: Sendable {
    private static let waitingMax = 1_024

    private struct State: Sendable {
        var listeners: [UInt64: AsyncStream<RaftEvent>.Continuation] = [:]
        var nextID: UInt64 = 0
        var isOver = false
    }

    private let state = Mutex(State())

    func makeStream() -> AsyncStream<RaftEvent> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: RaftEvent.self, bufferingPolicy: .bufferingNewest(Self.waitingMax))
        let id = state.withLock { state -> UInt64? in
            guard !state.isOver else { return nil }
            state.nextID += 1
            state.listeners[state.nextID] = continuation
            return state.nextID
        }
        guard let id else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.listeners.removeValue(forKey: id) }
        }
        return stream
    }

    func send(_ event: RaftEvent) {
        for listener in state.withLock({ Array($0.listeners.values) }) { listener.yield(event) }
    }

    func finish() {
        let listeners = state.withLock { state in
            defer { state.listeners = [:] }
            state.isOver = true
            return Array(state.listeners.values)
        }
        for listener in listeners { listener.finish() }
    }
}

/// A value that comes once, and those who wait for it.
final class OneShot<Value: Sendable>: Sendable {
    private struct State: Sendable {
        var value: Value?
        var waiting: [UInt64: CheckedContinuation<Value?, Never>] = [:]
        var cancelled: Set<UInt64> = []
        var nextID: UInt64 = 0
    }

    private let state = Mutex(State())

    var value: Value? { state.withLock { $0.value } }

    /// The first value counts.
    func set(_ value: Value) {
        let waiting = state.withLock { state in
            guard state.value == nil else { return [CheckedContinuation<Value?, Never>]() }
            state.value = value
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for continuation in waiting { continuation.resume(returning: value) }
    }

    /// nil when the task is cancelled.
    func wait() async -> Value? {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let result = state.withLock { state -> Value?? in
                    if let value = state.value { return .some(value) }
                    if state.cancelled.remove(id) != nil { return .some(nil) }
                    state.waiting[id] = continuation
                    return nil
                }
                if let result { continuation.resume(returning: result) }
            }
        } onCancel: {
            let continuation = state.withLock { state in
                let continuation = state.waiting.removeValue(forKey: id)
                if continuation == nil, state.value == nil { state.cancelled.insert(id) }
                return continuation
            }
            continuation?.resume(returning: nil)
        }
    }
}
