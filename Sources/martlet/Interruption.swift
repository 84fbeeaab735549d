import Dispatch
import Foundation
import Synchronization

/// The signals that ask a command to end: it ends in order, gives back what it holds, and says so.
final class Interruption: Sendable {
    private struct State {
        var received: Int32?
        var waiting: [@Sendable (Int32) -> Void] = []
    }

    private let state = Mutex(State())
    /// Made in `init`, cancelled in `deinit`, and left alone in between.
    nonisolated(unsafe) private let sources: [any DispatchSourceSignal]

    init(_ numbers: [Int32] = [SIGINT, SIGTERM]) {
        sources = numbers.map { number in
            // The source sees the signal; without this it would end the program as well.
            signal(number, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: number, queue: .global())
        }
        for (source, number) in zip(sources, numbers) {
            source.setEventHandler { [weak self] in self?.receive(number) }
            source.resume()
        }
    }

    deinit { for source in sources { source.cancel() } }

    /// The first signal that came; nil for none.
    var received: Int32? { state.withLock { $0.received } }

    /// Calls once, when the first signal comes, or at once when it has come.
    func onSignal(_ body: @escaping @Sendable (Int32) -> Void) {
        let received = state.withLock { state in
            if state.received == nil { state.waiting.append(body) }
            return state.received
        }
        if let received { body(received) }
    }

    private func receive(_ number: Int32) {
        let waiting = state.withLock { state in
            guard state.received == nil else { return [@Sendable (Int32) -> Void]() }
            state.received = number
            defer { state.waiting = [] }
            return state.waiting
        }
        for body in waiting { body(number) }
    }

    /// Ends the program as the signal would have, so that a shell sees why.
    static func end(by number: Int32) -> Never {
        signal(number, SIG_DFL)
        raise(number)
        exit(128 + number)
    }

    /// Waits for whichever comes first.
    /// - Returns: the signal; nil where `other` returned before.
    func race(_ other: @escaping @Sendable () async -> Void) async -> Int32? {
        let (events, continuation) = AsyncStream.makeStream(of: Int32?.self)
        onSignal { continuation.yield($0) }
        let task = Task {
            await other()
            continuation.yield(nil)
        }
        defer { task.cancel() }
        for await event in events { return event }
        return nil
    }
}
