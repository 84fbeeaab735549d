package import PeerTransport
package import RaftCore

/// What a node replicates. Lives on the apply stage, and is touched by that stage alone; what other threads read is a
/// ``View``.
///
/// It keeps its own applied index, in the same atomic batch as the data (decision 3): opening it is recovery.
package protocol NodeMachine: AnyObject, SendableMetatype {
    /// What a command's proposer is answered.
    associatedtype Result: Sendable
    /// A consistent state that any thread can read.
    associatedtype View: Sendable
    /// A snapshot that has arrived in whole, and waits for its installation.
    associatedtype Staged: Sendable

    /// The last entry whose effects are in the state, durable or not.
    var applied: AppliedPlace { get }
    /// Where the state was born: by bootstrap, or by the installation of a snapshot. While ``applied`` is still there,
    /// the log may know nothing of it; later, a log that does not reach ``applied`` has lost something.
    var origin: AppliedPlace { get }
    /// The configuration as of ``applied``.
    var configuration: Configuration { get }

    /// Applies one command; the same log gives the same state and the same results on every member.
    /// - Parameter isAwaited: whether this node's own client waits for the result; otherwise it may lack what only an
    ///   answer would hold.
    func apply(_ command: UnsafeRawBufferPointer, at place: AppliedPlace, isAwaited: Bool) throws -> Result
    /// Whether these bytes are a command that can be applied. Asked of what other members forward, before it gets into
    /// the log: what is in the log must be applied by everyone.
    static func accepts(_ command: UnsafeRawBufferPointer) -> Bool

    /// Whether a command is surely small work, so that it may be done on the thread that also listens for heartbeats.
    static func isQuick(_ command: UnsafeRawBufferPointer) -> Bool

    /// What a change of the configuration is answered with where it is not what its proposer meant any more; it then
    /// changes nothing, on all members alike. nil if it is to be made. Asked before each one, with the state as it is.
    func objection(to change: ConfigurationChange, context: [UInt8]) -> Result?
    /// The configuration has changed; `context` is the proposer's.
    func apply(_ configuration: Configuration, context: [UInt8], at place: AppliedPlace) throws -> Result
    /// An entry without a command, or with one that the cluster refused.
    func skip(at place: AppliedPlace) throws

    /// The state after everything applied so far.
    var view: View { get throws }
    /// Other threads see this view from now on; called on the apply stage. By default nothing is done.
    func didPublish(_ view: View)

    /// How many bytes wait for a flush.
    var unflushedBytes: Int { get }
    /// Closes what waits into one job for the flusher; nil if nothing waits or a job is under way.
    func beginFlush() throws -> (any FlushJob)?
    /// The job has been done; what it wrote is durable.
    func endFlush() throws

    /// A bounded piece of work that the state wants done some time (compaction). False when nothing is left.
    func doHousekeeping() throws -> Bool

    /// What the leader writes into some commands when it appends them; nil: nothing. Asked for once, at the start.
    var stamp: (any LeaderStamp)? { get }
    /// The node is about to run. `now` is its world's monotonic clock, in nanoseconds, for any thread.
    func begin(now: @escaping @Sendable () -> UInt64)
    /// What the machine itself wants in the log. Asked now and then; nobody waits for what becomes of it.
    /// - Parameter term: the term in which this node leads, as far as is known; nil: it does not.
    func proposals(leading term: Term?) -> MachineProposals

    /// The state after everything applied so far, as a stream.
    func makeSnapshotSource() throws -> any SnapshotSource
    /// Replaces the state by a snapshot that has arrived; durable when this returns.
    func install(_ staged: Staged) throws
}

extension NodeMachine {
    package func didPublish(_ view: View) {}
    package func objection(to change: ConfigurationChange, context: [UInt8]) -> Result? { nil }
    package var stamp: (any LeaderStamp)? { nil }
    package func begin(now: @escaping @Sendable () -> UInt64) {}
    package func proposals(leading term: Term?) -> MachineProposals { MachineProposals() }
}

/// What a machine proposes by itself.
package struct MachineProposals: Sendable {
    /// Commands behind ``ProposalID/encodedBytes`` free bytes.
    package var payloads: [[UInt8]]
    /// The machine wants to be asked again soon, even if nothing is applied meanwhile.
    package var asksAgain: Bool

    package init(payloads: [[UInt8]] = [], asksAgain: Bool = false) {
        self.payloads = payloads
        self.asksAgain = asksAgain
    }
}

/// Where a state stands in the log.
package struct AppliedPlace: Hashable, Sendable {
    package var index: LogIndex
    package var term: Term

    package init(index: LogIndex, term: Term) {
        self.index = index
        self.term = term
    }
}

/// A part of the state on its way to the engine; done on the flusher's thread.
package protocol FlushJob: Sendable {
    /// Everything up to here is durable when the job has been done.
    var applied: AppliedPlace { get }
    func run() throws
}

/// Receives a snapshot beside the running state machine, on the transport's thread.
package protocol SnapshotReceiver<Staged>: AnyObject, Sendable {
    associatedtype Staged: Sendable
    func begin(_ description: SnapshotDescription) throws -> any StagingSink<Staged>
}

/// The place where one snapshot is put together.
package protocol StagingSink<Staged>: AnyObject, Sendable {
    associatedtype Staged: Sendable
    func write(_ chunk: [UInt8]) throws
    /// Checks that the snapshot is whole and makes it durable.
    func finish() throws -> Staged
    func abort()
}
