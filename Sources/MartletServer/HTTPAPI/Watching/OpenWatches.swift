import NIOCore
import Synchronization

/// How many long polls and event streams are open on one event loop, and that there are not too many. They come and go
/// on it only.
final class OpenWatches: Sendable {
    let eventLoop: any EventLoop
    private let countMax: Int
    private let number = Atomic<Int>(0)
    /// On any thread.
    var count: Int { number.load(ordering: .relaxed) }

    init(eventLoop: any EventLoop, countMax: Int) {
        self.eventLoop = eventLoop
        self.countMax = countMax
    }

    /// Who gets a place gives it back with ``leave()``.
    func enter() -> Bool {
        guard count < countMax else { return false }
        number.wrappingAdd(1, ordering: .relaxed)
        return true
    }

    func leave() { number.wrappingSubtract(1, ordering: .relaxed) }
}

extension [OpenWatches] {
    func on(_ eventLoop: any EventLoop) -> OpenWatches {
        for watches in self where watches.eventLoop === eventLoop { return watches }
        preconditionFailure("a request on an event loop that is not the server's")
    }
}
