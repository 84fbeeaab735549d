import NIOCore

/// One deadline that is moved often and reached seldom: a task of the event loop looks whether it has passed, and goes
/// round again when it was moved. On the event loop only.
final class HTTP1Timer: @unchecked Sendable {
    private let eventLoop: any EventLoop
    private var deadline: NIODeadline?
    private var scheduled: Scheduled<Void>?
    private var scheduledFor = NIODeadline.distantFuture
    /// Is called when the deadline has passed.
    var expired: () -> Void = {}

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    func set(_ amount: TimeAmount) {
        let deadline = NIODeadline.now() + amount
        self.deadline = deadline
        guard deadline < scheduledFor else { return }
        scheduled?.cancel()
        schedule(at: deadline)
    }

    func cancel() { deadline = nil }

    /// Nothing is called any more, and nothing is held.
    func end() {
        deadline = nil
        expired = {}
        scheduled?.cancel()
        scheduled = nil
    }

    private func schedule(at time: NIODeadline) {
        scheduledFor = time
        scheduled = eventLoop.scheduleTask(deadline: time) { [self] in
            scheduled = nil
            scheduledFor = .distantFuture
            guard let deadline else { return }
            if deadline > .now() { return schedule(at: deadline) }
            self.deadline = nil
            expired()
        }
    }
}
