import Glibc

/// A part of a node that works on one thread at a time: what arrives for it is queued, and worked off in batches.
///
/// The same stages run in two worlds: in production each has a thread of its own; in the simulator one seeded queue
/// calls them all. So a stage has no thread, no clock and no lock in it.
package protocol Stage: AnyObject, SendableMetatype {
    associatedtype Input: Sendable

    /// Works off everything that has arrived, in order. `inputs` is emptied by the callee or by the caller afterwards.
    /// - Parameter now: the world's monotonic clock, in nanoseconds.
    func process(_ inputs: inout [Input], now: UInt64)

    /// When ``process(_:now:)`` must be called at the latest, even with nothing to work off; nil: not before something
    /// arrives.
    var wakeAt: UInt64? { get }
}

/// Where a stage's inputs are put.
package protocol Mailbox<Input>: AnyObject, Sendable {
    associatedtype Input: Sendable

    /// Consuming, as what it holds may be written into by the stage: a poster that still held it would cost a copy.
    func post(_ input: consuming Input)
    func post(contentsOf inputs: [Input])
    /// Puts the input in without waking the stage: it is seen when something else wakes it.
    func postQuietly(_ input: Input)
    /// Puts the input in, and has the stage work it off on the caller's own thread if it is at rest. For small work
    /// only, where waking a thread would cost more than the work (a lone client waits for every such wake).
    func postAndRun(_ input: consuming Input)
}

extension Mailbox {
    package func postAndRun(_ input: consuming Input) { post(input) }
}

/// The system gives no thread.
package struct ThreadRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    package var name: String
    package var errno: Int32

    package var description: String {
        "the system gives no thread for \"\(name)\": \(String(cString: strerror(errno)))"
    }
}

/// What runs stages: threads in production, one seeded queue in the simulator.
package protocol World: AnyObject, Sendable {
    func makeMailbox<Input: Sendable>(for name: String, of type: Input.Type) -> any Mailbox<Input>
    /// Begins to run a stage on what its mailbox receives. The mailbox must be of this world's making.
    func run<S: Stage>(_ stage: sending S, on mailbox: any Mailbox<S.Input>) throws(ThreadRefusal)
    /// Ends all stages; what is still queued is dropped. Returns when none is running.
    func stop()
    func now() -> UInt64
}
