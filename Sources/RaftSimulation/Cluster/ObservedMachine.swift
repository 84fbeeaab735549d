import MVCC
package import PeerTransport
package import Raft
package import RaftCore
package import Replica

/// What a member's state machine has done.
enum Observation {
    /// The bytes that were applied at a place.
    case command(UnsafeRawBufferPointer)
    /// The configuration in force from a place on, and the proposer's context.
    case configuration(Configuration, context: UnsafeRawBufferPointer)
    /// What a command came to; not whole: what only an answer would hold was not looked for.
    case outcome(ReplicaResult, isWhole: Bool, runningHash: RunningHash)
    /// The state was replaced by a snapshot that was made with this configuration.
    case installed(Configuration)
}

/// The server's own state machine, with somebody watching what it applies.
package final class ObservedMachine: NodeMachine {
    package typealias Result = ReplicaResult
    package typealias View = ReplicaView
    package typealias Staged = StagedSnapshot

    private let machine: KeyValueMachine
    private let observe: (AppliedPlace, Observation) -> Void

    init(_ machine: KeyValueMachine, observe: @escaping (AppliedPlace, Observation) -> Void) {
        self.machine = machine
        self.observe = observe
    }

    package var watchFeed: WatchFeed { machine.watchFeed }
    package var applied: AppliedPlace { machine.applied }
    package var origin: AppliedPlace { machine.origin }
    package var configuration: Configuration { machine.configuration }
    package var view: ReplicaView { get throws { try machine.view } }
    package func didPublish(_ view: ReplicaView) { machine.didPublish(view) }
    package var unflushedBytes: Int { machine.unflushedBytes }

    package func apply(
        _ command: UnsafeRawBufferPointer, at place: AppliedPlace, isAwaited: Bool
    ) throws -> ReplicaResult {
        observe(place, .command(command))
        // At every other entry all members look for the whole answer, so that these can be compared (etcd issue 18667).
        let isWhole = isAwaited || place.index.rawValue % 2 == 0
        let result = try machine.apply(command, at: place, isAwaited: isWhole)
        observe(place, .outcome(result, isWhole: isWhole, runningHash: machine.runningHash))
        return result
    }

    package func apply(
        _ configuration: Configuration, context: [UInt8], at place: AppliedPlace
    ) throws -> ReplicaResult {
        context.withUnsafeBytes { observe(place, .configuration(configuration, context: $0)) }
        return try machine.apply(configuration, context: context, at: place)
    }

    package func objection(to change: ConfigurationChange, context: [UInt8]) -> ReplicaResult? {
        machine.objection(to: change, context: context)
    }

    package static func accepts(_ command: UnsafeRawBufferPointer) -> Bool { KeyValueMachine.accepts(command) }
    package static func isQuick(_ command: UnsafeRawBufferPointer) -> Bool { KeyValueMachine.isQuick(command) }

    package func skip(at place: AppliedPlace) throws {
        observe(place, .command(UnsafeRawBufferPointer(start: nil, count: 0)))
        try machine.skip(at: place)
    }

    package var stamp: (any LeaderStamp)? { machine.stamp }
    package func begin(now: @escaping @Sendable () -> UInt64) { machine.begin(now: now) }
    package func proposals(leading term: Term?) -> MachineProposals { machine.proposals(leading: term) }

    package func beginFlush() throws -> (any FlushJob)? { try machine.beginFlush() }
    package func endFlush() throws { try machine.endFlush() }
    package func doHousekeeping() throws -> Bool { try machine.doHousekeeping() }
    package func makeSnapshotSource() throws -> any SnapshotSource { try machine.makeSnapshotSource() }
    package func install(_ staged: StagedSnapshot) throws {
        try machine.install(staged)
        observe(machine.applied, .installed(machine.configuration))
    }
}
