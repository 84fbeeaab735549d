package import PeerTransport
package import Platform
package import RaftCore
import Synchronization
import WriteAheadLog

/// One member: core, log and state machine, wired together in a world.
package final class RaftNode<Machine: NodeMachine>: Sendable {
    /// Everything of the world that a node needs.
    package struct Environment: Sendable {
        package var world: any World
        package var fileSystem: any FileSystem
        /// Where the write-ahead log lives.
        package var logDirectory: String
        package var segmentBytes = 64 << 20
        /// Where the log's next segment is made ready; nil: by the log stage, slice by slice.
        package var runInBackground: (@Sendable (@escaping @Sendable () -> Void) -> Void)?
        /// Who the log belongs to: a log of another cluster or member is refused.
        package var identity: [UInt8]
        package var makeTransport: @Sendable (any PeerReceiver) throws -> any PeerTransport
        package var snapshotReceiver: any SnapshotReceiver<Machine.Staged>
        package var trace: (@Sendable (TraceEvent) -> Void)?
        /// Called on a stage's thread; must not block.
        package var leaderChanged: PublishedState<Machine.View>.LeaderObserver?
        /// Called once, on a stage's thread, when the node has stopped by itself.
        package var failed: @Sendable (NodeFailure) -> Void

        package init(
            world: any World, fileSystem: any FileSystem, logDirectory: String, identity: [UInt8],
            makeTransport: @escaping @Sendable (any PeerReceiver) throws -> any PeerTransport,
            snapshotReceiver: any SnapshotReceiver<Machine.Staged>,
            trace: (@Sendable (TraceEvent) -> Void)? = nil,
            failed: @escaping @Sendable (NodeFailure) -> Void
        ) {
            self.world = world
            self.fileSystem = fileSystem
            self.logDirectory = logDirectory
            self.identity = identity
            self.makeTransport = makeTransport
            self.snapshotReceiver = snapshotReceiver
            self.trace = trace
            self.failed = failed
        }
    }

    /// What recovery found, for the log.
    package struct RecoveryReport: Sendable {
        package var applied: LogIndex
        package var lastIndex: LogIndex
        /// Bytes of a torn, never acknowledged write that were cut from the log's end, and where.
        package var tornTailBytes: Int
        package var tornTailSegment: UInt64
        package var tornTailOffset: Int
    }

    /// As they were at the start; the stages have what was changed since.
    package let options: NodeOptions
    package let published: PublishedState<Machine.View>
    package let transport: any PeerTransport
    package let recovery: RecoveryReport
    private let world: any World
    private let consensus: any Mailbox<ConsensusInput<Machine>>
    private let apply: any Mailbox<ApplyInput<Machine>>

    /// Opens the log, checks it against the state, and begins to run.
    package init(options: NodeOptions, machine: sending Machine, environment: Environment) throws {
        self.options = options
        world = environment.world
        let applied = machine.applied
        let configuration = machine.configuration

        var recovered = RecoveredLog(retainAfter: applied.index)
        var logOptions = WALOptions(identity: environment.identity, salt: options.randomSeed)
        logOptions.segmentBytes = environment.segmentBytes
        logOptions.fillSliceBytes = min(logOptions.fillSliceBytes, environment.segmentBytes)
        logOptions.runInBackground = environment.runInBackground
        var log = try WriteAheadLog.open(
            directory: environment.logDirectory, fileSystem: environment.fileSystem, options: logOptions
        ) { kind, payload, location in
            try recovered.replay(try LogRecord(kind: kind.rawValue, payload: payload), at: location)
        }
        let report = log.openReport
        let isRestarted = try recovered.reconcile(applied: applied, origin: machine.origin)
        guard let base = recovered.base else { preconditionFailure("a log without a base after reconciliation") }
        if isRestarted {
            _ = try log.append(kind: LogRecordKind.base.record, LogRecord.encode(base))
            _ = try log.append(kind: LogRecordKind.hardState.record, LogRecord.encode(recovered.hardState))
            try log.synchronize()
        }
        recovery = RecoveryReport(
            applied: applied.index, lastIndex: recovered.lastIndex, tornTailBytes: report.tornTailBytesCut,
            tornTailSegment: report.segment, tornTailOffset: report.offset)

        var hardState = recovered.hardState
        hardState.commit = min(max(hardState.commit, applied.index), recovered.lastIndex)
        if options.appliesWholeLogAtStart { hardState.commit = recovered.lastIndex }
        let coreOptions = options.core
        let restored = RaftCore.Restored(
            hardState: hardState, configuration: configuration, snapshotIndex: base.index, snapshotTerm: base.term,
            entries: recovered.summaries, applied: applied.index)
        if let reason = restored.inconsistency { throw NodeFailure(part: .log, reason: reason) }
        if let reason = coreOptions.inconsistency { throw NodeFailure(part: .log, reason: "options: \(reason)") }
        let core = RaftCore(options: coreOptions, restored: restored)

        var status = NodeStatus(id: options.id)
        status.term = hardState.term
        status.commit = hardState.commit
        status.applied = applied.index
        status.lastIndex = recovered.lastIndex
        status.isLearner = configuration.learners.contains(options.id)
        status.isJoining = configuration.voters.isEmpty
        published = PublishedState(
            status: status, view: try machine.view, applied: applied.index, leaderChanged: environment.leaderChanged)

        machine.begin(now: { [world] in world.now() })
        let stamp = machine.stamp
        let consensus = world.makeMailbox(for: "raft", of: ConsensusInput<Machine>.self)
        let logMailbox = world.makeMailbox(for: "log", of: LogInput.self)
        let apply = world.makeMailbox(for: "apply", of: ApplyInput<Machine>.self)
        let flush = world.makeMailbox(for: "flush", of: (any FlushJob).self)
        self.consensus = consensus
        self.apply = apply
        transport = try environment.makeTransport(
            NodeReceiver<Machine>(consensus: consensus, snapshots: environment.snapshotReceiver))

        let readMailbox = world.makeMailbox(for: "read", of: ReadInput.self)
        let readStage = ReadStage<Machine>(reader: log.reader, consensus: consensus)
        let logStage = LogStage<Machine>(
            log: log, recovered: recovered, base: base,
            outlets: .init(
                consensus: consensus, read: readMailbox, published: published, world: world, options: options))
        let applyStage = ApplyStage<Machine>(
            machine: machine, options: options,
            outlets: .init(consensus: consensus, flush: flush, published: published))
        let consensusStage = ConsensusStage<Machine>(
            core: core, options: options, recovered: recovered.entries, applied: applied.index, base: base.index,
            outlets: .init(
                log: logMailbox, apply: apply, transport: transport, published: published, own: consensus,
                stamp: stamp, trace: environment.trace, failed: environment.failed))
        do throws(ThreadRefusal) {
            try world.run(readStage, on: readMailbox)
            try world.run(logStage, on: logMailbox)
            try world.run(FlushStage<Machine>(apply: apply, published: published, world: world), on: flush)
            try world.run(applyStage, on: apply)
            try world.run(consensusStage, on: consensus)
        } catch {
            stop()
            throw error
        }
        // Alone there is nobody to wait for.
        if configuration.voters == [options.id], !configuration.isJoint { consensus.post(.campaign) }
    }

    /// The world's monotonic clock, in nanoseconds.
    package func now() -> UInt64 { world.now() }

    package func propose(_ proposal: consuming CommandProposal<Machine>) { consensus.post(.propose(consume proposal)) }

    package func propose(_ proposals: [CommandProposal<Machine>]) {
        guard !proposals.isEmpty else { return }
        consensus.post(.proposeMany(proposals))
    }

    /// The same for a request that has nobody beside it: it is worked off on the caller's own thread where that is free
    /// and the disk is quick, since waking other threads would take longer than the work. May block for one fdatasync.
    package func proposeAlone(_ proposal: consuming CommandProposal<Machine>) {
        let lastSync = published.lastSyncNanoseconds.load(ordering: .relaxed)
        if lastSync < options.quickSyncNanoseconds, proposal.payload.count <= options.inlineEntryBytes,
            proposal.isQuick
        {
            consensus.postAndRun(.propose(consume proposal))
        } else {
            consensus.post(.propose(consume proposal))
        }
    }

    /// Answers with a view that includes everything that was acknowledged before this call, anywhere in the cluster.
    package func read(_ ticket: Ticket<Machine.View>) { consensus.post(.read(ticket)) }

    package func read(_ tickets: [Ticket<Machine.View>]) {
        guard !tickets.isEmpty else { return }
        consensus.post(.readMany(tickets))
    }

    package func change(_ change: ConfigurationChange, ticket: Ticket<Machine.Result>) {
        consensus.post(.changeConfiguration(change, ticket))
    }

    /// Without anybody to tell what becomes of it.
    package func transferLeadership(to node: NodeID) {
        consensus.post(.transferLeadership(to: node, nil, timeoutNanoseconds: 0))
    }

    /// - Parameters:
    ///   - node: nil for the best.
    ///   - timeoutNanoseconds: after so long the ticket is answered with ``RequestFailure/timedOut``, whatever becomes
    ///     of the transfer.
    package func transferLeadership(
        to node: NodeID?, ticket: Ticket<TransferConclusion>, timeoutNanoseconds: UInt64
    ) {
        consensus.post(.transferLeadership(to: node, ticket, timeoutNanoseconds: timeoutNanoseconds))
    }

    /// Other options from now on. What other members were promised, and what the log is marked with, does not change:
    /// then the answer is why not.
    package func change(_ options: NodeOptions, ticket: Ticket<OptionsConclusion>) {
        consensus.post(.optionsChanged(options, ticket))
    }

    /// What the core knows of itself and, while it leads, of the others' logs, all as of one moment. For people: it
    /// costs an array, and the stage's time.
    package func status(_ ticket: Ticket<RaftCore.Status>) { consensus.post(.status(ticket)) }

    /// Makes everything that has been applied durable in the state, whatever is due, and answers up to where it is.
    package func flush(_ ticket: Ticket<LogIndex>) { apply.post(.flush(ticket)) }

    /// Stops the node: somebody found that its state cannot be trusted.
    package func fail(_ failure: NodeFailure) { consensus.post(.failed(failure)) }

    package func campaign() { consensus.post(.campaign) }

    /// Ends the node: its stages, then its connections. Nothing that was acknowledged depends on it.
    package func stop() {
        world.stop()
        transport.stop()
    }
}

/// Takes what other members send to the consensus stage.
private final class NodeReceiver<Machine: NodeMachine>: PeerReceiver {
    private let consensus: any Mailbox<ConsensusInput<Machine>>
    private let snapshots: any SnapshotReceiver<Machine.Staged>

    init(consensus: any Mailbox<ConsensusInput<Machine>>, snapshots: any SnapshotReceiver<Machine.Staged>) {
        self.consensus = consensus
        self.snapshots = snapshots
    }

    func received(_ messages: [Message]) { consensus.post(.received(messages)) }

    func received(_ message: Message) { consensus.post(.receivedAlone(message)) }

    func unreachable(_ node: NodeID) { consensus.post(.unreachable(node)) }
    func gone(_ node: NodeID) { consensus.post(.gone(node)) }

    func beginSnapshot(_ description: Message) -> (any SnapshotSink)? {
        guard case .installSnapshot(let snapshot) = description.body, let sink = try? snapshots.begin(snapshot) else {
            return nil
        }
        return ArrivingSnapshot<Machine>(message: description, sink: sink, consensus: consensus)
    }
}

/// A snapshot on its way in; handed to consensus when it is whole.
private final class ArrivingSnapshot<Machine: NodeMachine>: SnapshotSink {
    private let message: Message
    private let sink: any StagingSink<Machine.Staged>
    private let consensus: any Mailbox<ConsensusInput<Machine>>

    init(
        message: Message, sink: any StagingSink<Machine.Staged>, consensus: any Mailbox<ConsensusInput<Machine>>
    ) {
        self.message = message
        self.sink = sink
        self.consensus = consensus
    }

    func write(_ chunk: [UInt8]) throws { try sink.write(chunk) }

    func finish() throws {
        let staged = try sink.finish()
        consensus.post(.snapshotArrived(message, staged))
    }

    func abort() { sink.abort() }
}
