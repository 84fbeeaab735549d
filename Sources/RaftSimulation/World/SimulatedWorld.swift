package import Raft

/// The world of one simulated member: its stages are called by the event queue, each after a delay of its own, as if
/// each had a thread. Everything happens on one real thread.
package final class SimulatedWorld: World, @unchecked Sendable {
    /// How long a stage takes to come round to its inputs, in nanoseconds: between the two bounds.
    package struct Pace: Sendable {
        package var least: UInt64
        package var most: UInt64

        package init(least: UInt64, most: UInt64) {
            self.least = least
            self.most = most
        }
    }

    private let queue: EventQueue
    private var paces: [(stage: String, pace: Pace)]
    /// How much faster than true time this member's clock runs, in millionths; slower below zero.
    private let driftMillionths: Int64
    private var isStopped = false
    /// A stopped process: nothing of it happens until it goes on.
    private var isPaused = false
    private var waiting: [() -> Void] = []
    /// Part mailboxes and stages, which hold each other while they run.
    private var partings: [() -> Void] = []

    package init(queue: EventQueue, paces: [(stage: String, pace: Pace)] = [], driftMillionths: Int64 = 0) {
        self.queue = queue
        self.paces = paces
        self.driftMillionths = driftMillionths
    }

    /// From now on that stage comes round so slowly or quickly: a disk that has become slow.
    package func setPace(_ pace: Pace, of stage: String) {
        paces.removeAll { $0.stage == stage }
        paces.append((stage, pace))
    }

    package func makeMailbox<Input: Sendable>(for name: String, of type: Input.Type) -> any Mailbox<Input> {
        SimulatedMailbox<Input> { [unowned self] action in
            let pace = paces.first { $0.stage == name }?.pace ?? Pace(least: 1_000, most: 50_000)
            let spread = pace.most - pace.least
            let delay = pace.least + (spread == 0 ? 0 : queue.random.next() % spread)
            queue.schedule(after: delay) { [self] in perform(action) }
        }
    }

    package func run<S: Stage>(_ stage: sending S, on mailbox: any Mailbox<S.Input>) {
        guard let mailbox = mailbox as? SimulatedMailbox<S.Input> else {
            preconditionFailure("a mailbox of another world")
        }
        let runner = StageRunner(stage: stage, mailbox: mailbox, world: self)
        mailbox.attach { runner.run() }
        partings.append { mailbox.detach() }
        runner.scheduleWake()
    }

    package func stop() {
        isStopped = true
        waiting = []
        for part in partings { part() }
        partings = []
    }

    /// This member's own clock.
    package func now() -> UInt64 {
        queue.now &+ UInt64(bitPattern: Int64(bitPattern: queue.now) * driftMillionths / 1_000_000)
    }

    /// When, by the queue's clock, this member's own shows `time`, or a moment later.
    private func queueTime(at time: UInt64) -> UInt64 {
        UInt64(bitPattern: Int64(bitPattern: time) * 1_000_000 / (1_000_000 + driftMillionths)) + 2
    }

    /// SIGSTOP.
    package func pause() { isPaused = true }

    /// SIGCONT.
    package func resume() {
        isPaused = false
        let actions = waiting
        waiting = []
        for action in actions { queue.schedule(after: 1, { [self] in perform(action) }) }
    }

    fileprivate func perform(_ action: @escaping () -> Void) {
        if isStopped { return }
        if isPaused { return waiting.append(action) }
        action()
    }

    fileprivate func schedule(at time: UInt64, _ action: @escaping () -> Void) {
        queue.schedule(at: driftMillionths == 0 ? time : queueTime(at: time)) { [self] in perform(action) }
    }
}

private final class StageRunner<S: Stage> {
    private let stage: S
    private let mailbox: SimulatedMailbox<S.Input>
    private unowned let world: SimulatedWorld
    private var inputs: [S.Input] = []
    private var wakeScheduledAt: UInt64?

    init(stage: S, mailbox: SimulatedMailbox<S.Input>, world: SimulatedWorld) {
        self.stage = stage
        self.mailbox = mailbox
        self.world = world
    }

    func run() {
        mailbox.drain(into: &inputs)
        stage.process(&inputs, now: world.now())
        inputs.removeAll(keepingCapacity: true)
        scheduleWake()
    }

    func scheduleWake() {
        guard let due = stage.wakeAt else { return }
        let time = max(due, world.now() + 1_000)
        if let scheduled = wakeScheduledAt, scheduled <= time, scheduled > world.now() { return }
        wakeScheduledAt = time
        world.schedule(at: time) { [self] in
            guard wakeScheduledAt == time else { return }
            wakeScheduledAt = nil
            run()
        }
    }
}

private final class SimulatedMailbox<Input: Sendable>: Mailbox, @unchecked Sendable {
    private var pending: [Input] = []
    private var isScheduled = false
    private let schedule: (@escaping () -> Void) -> Void
    private var stage: (() -> Void)?

    init(schedule: @escaping (@escaping () -> Void) -> Void) { self.schedule = schedule }

    func attach(_ stage: @escaping () -> Void) {
        self.stage = stage
        wake()
    }

    func detach() {
        stage = nil
        pending = []
    }

    func post(_ input: Input) {
        pending.append(input)
        wake()
    }

    func post(contentsOf inputs: [Input]) {
        guard !inputs.isEmpty else { return }
        pending.append(contentsOf: inputs)
        wake()
    }

    func postQuietly(_ input: Input) { pending.append(input) }

    func drain(into inputs: inout [Input]) {
        isScheduled = false
        swap(&pending, &inputs)
    }

    private func wake() {
        guard !isScheduled, let stage else { return }
        isScheduled = true
        schedule(stage)
    }
}
