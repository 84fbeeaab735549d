public import Logging
import PeerTransport
import Platform
import PlatformPOSIX
public import RaftCore
import Synchronization

/// One member of a cluster: your state machine, kept alike on all members by Raft.
///
///     let member = RaftMember(
///         id: 1, cluster: .new([RaftPeer(id: 1, address: "10.0.0.1:7000"), ...]),
///         log: .directory("/var/lib/counter"), transport: .tcp(), stateMachine: Counter())
///     try await member.start()
///     let value = try await member.propose(command)
///
/// A process may run many of them, of one cluster or of several. A member is started once, by ``start()`` or
/// ``run()``, and must be stopped. A disk error or a state machine that throws ends the member, never the process:
/// ``run()`` throws it, ``events`` ends with it, and requests are answered with ``RaftError/failed(_:)``.
public final class RaftMember<Machine: StateMachine>: Sendable {
    typealias Adapter = LibraryMachine<Machine>

    public let id: NodeID
    /// As ``changeOptions(_:)`` has made them.
    let settings: Mutex<Settings>
    let snapshotPolicy: SnapshotPolicy
    let cluster: ClusterStart
    let log: RaftLog
    let transport: RaftTransport
    let logger: Logger
    let metrics: MemberMetrics
    let box: StateBox<Machine>
    let hub = EventHub()
    let directory: PeerDirectory
    let proposals = RequestSink<Adapter.Result>()
    let reads = RequestSink<StateBox<Machine>>()
    let transfers = RequestSink<TransferConclusion>()
    let snapshots = RequestSink<LogIndex>()
    let optionChanges = RequestSink<OptionsConclusion>()
    /// Why the member is no longer at work.
    let ended = OneShot<MemberEnd>()
    let phase = Mutex(Phase.idle)

    /// The options, and how often they were changed.
    struct Settings: Sendable {
        var value: RaftOptions
        var version = 0
    }

    enum Phase: Sendable {
        case idle
        case starting
        case running(Running)
        case stopping
        case stopped
    }

    /// What a member at work consists of.
    final class Running: Sendable {
        let node: RaftNode<Adapter>
        let attached: AttachedTransport
        let lock: any FileLock
        let background: Task<Void, Never>

        init(
            node: RaftNode<Adapter>, attached: AttachedTransport, lock: any FileLock, background: Task<Void, Never>
        ) {
            self.node = node
            self.attached = attached
            self.lock = lock
            self.background = background
        }
    }

    /// Nothing happens before ``start()``.
    ///
    /// - Parameters:
    ///   - id: this member's, for good; see ``RaftPeer/id``.
    ///   - cluster: how the member comes to its cluster, the first time.
    ///   - log: where the log and the snapshots are kept.
    ///   - transport: how the other members are reached.
    ///   - stateMachine: in its first state, which is the same for all members of a new cluster. What the member finds
    ///     in its log is restored into it.
    ///   - options: the timing is to be the same on all members.
    ///   - logger: nothing is logged without one.
    public init(
        id: NodeID, cluster: ClusterStart, log: RaftLog, transport: RaftTransport, stateMachine: sending Machine,
        options: RaftOptions = RaftOptions(),
        logger: Logger = Logger(label: "raft", factory: { _ in SwiftLogNoOpLogHandler() })
    ) {
        self.id = id
        self.cluster = cluster
        self.log = log
        self.transport = transport
        settings = Mutex(Settings(value: options))
        snapshotPolicy = SnapshotPolicy(entries: options.snapshotEntries, bytes: options.snapshotBytes)
        var logger = logger
        logger[metadataKey: "member"] = "\(id)"
        self.logger = logger
        metrics = MemberMetrics(id: id)
        box = StateBox(stateMachine)
        directory = PeerDirectory(own: id)
    }

    /// A member that was let go without having been stopped ends all the same, a little later.
    deinit {
        guard case .running(let running) = phase.withLock({ $0 }) else { return }
        running.background.cancel()
        SystemThread.start(name: "raft-life") {
            running.node.stop()
            running.lock.release()
        }
    }

    // MARK: What is known

    /// How the member behaves, as of now: ``changeOptions(_:)`` changes it.
    public var options: RaftOptions { settings.withLock { $0.value } }

    /// Where the member stands; nil before it is started and after it was stopped.
    public var status: RaftStatus? { running.map { RaftStatus($0.node.published.status) } }

    /// The members of the cluster as far as this one knows, by ascending id.
    public var members: [RaftPeer] { directory.peers }

    /// The TCP port that is listened on.
    public var port: Int? { running?.attached.port() }

    /// What happens from now on: changes of leadership and membership, snapshots, the end. Every sequence gets all of
    /// it; one that is not read drops its oldest events. It ends when the member does.
    public var events: AsyncStream<RaftEvent> { hub.makeStream() }

    /// The member's failure, if it has stopped by itself.
    public var failure: RaftFailure? { if case .failed(let failure) = ended.value { failure } else { nil } }

    var running: Running? {
        phase.withLock { phase in
            if case .running(let running) = phase { running } else { nil }
        }
    }

    func requireRunning() throws(RaftError) -> Running {
        switch ended.value {
        case nil, .stopped: break
        case .some(let end): throw end.error
        }
        guard let running else { throw .notRunning }
        return running
    }

    // MARK: Requests

    /// Has a command carried out on all members, and waits for it.
    ///
    /// When this returns, the command is durable on a majority and applied on this member. It can be called on any
    /// member: followers pass commands on to the leader. Commands that one task proposes one after the other are
    /// applied in that order; commands of several tasks are written and sent together.
    ///
    /// - Returns: what the state machine returned for it.
    /// - Throws: see ``RaftError``, and there ``RaftError/isOutcomeUnknown``.
    @discardableResult
    public func propose(_ command: [UInt8]) async throws(RaftError) -> Machine.Response {
        let running = try requireRunning()
        let (maxBytes, forwards) = settings.withLock { ($0.value.maxCommandBytes, $0.value.forwardsProposals) }
        guard command.count <= maxBytes else { throw .tooLarge(bytes: command.count, limit: maxBytes) }
        if !forwards {
            let status = running.node.published.status
            guard status.role == .leader else { throw .notLeader(leader: status.leader) }
        }
        let start = monotonicNanoseconds()
        do throws(RaftError) {
            let answer = try await ask(command, of: running)
            metrics.proposed(nanoseconds: monotonicNanoseconds() - start, succeeded: true)
            switch answer {
            case .response(let response): return response
            case .rejected(let reason): throw RaftError.rejected(reason)
            case .membershipChanged: throw RaftError.membershipRefused(.impossible("the answer was another request's"))
            }
        } catch {
            if case .rejected = error {
            } else {
                metrics.proposed(nanoseconds: monotonicNanoseconds() - start, succeeded: false)
            }
            throw await explained(error)
        }
    }

    /// A leader that is handing over takes nothing that a follower passes on, and says so: then it is proposed anew, to
    /// the next leader, which does no harm, since nobody has taken it.
    private func ask(_ command: [UInt8], of running: Running) async throws(RaftError) -> Adapter.Result {
        let (timeout, heartbeat) = settings.withLock { ($0.value.requestTimeout, $0.value.heartbeatInterval) }
        let end = ContinuousClock.now + timeout
        while true {
            do throws(RaftError) {
                return try await proposals.ask { ticket in
                    // Made where it is given away: who holds it alone can write the proposal's number into it.
                    running.node.propose(CommandProposal(payload: Self.payload(of: command), ticket: ticket))
                }
            } catch {
                guard error == .noLeader, ContinuousClock.now + heartbeat < end else { throw error }
                try await pause()
            }
        }
    }

    /// What goes into the log for a command; the room for the proposal's id is still free.
    private static func payload(of command: [UInt8]) -> [UInt8] {
        var payload: [UInt8] = []
        payload.reserveCapacity(ProposalID.encodedBytes + 1 + command.count)
        payload.append(contentsOf: repeatElement(0, count: ProposalID.encodedBytes))
        payload.append(Adapter.commandMark)
        payload.append(contentsOf: command)
        return payload
    }

    /// The stages answer "stopped" when the member fails, a moment before it is known why.
    func explained(_ error: RaftError) async -> RaftError {
        guard error == .stopped, let end = await ended.wait() else { return error }
        return end.error
    }

    /// How fresh a read is.
    public enum ReadConsistency: Sendable {
        /// The state includes everything that was acknowledged anywhere before the read began. Needs a leader and,
        /// with ``RaftOptions/ReadMode/quorum``, a majority.
        case linearizable
        /// This member's state as it is, which may be older. Needs nobody.
        case local
    }

    /// Looks at the state, on any member.
    ///
    /// - Parameters:
    ///   - consistency: whether the read has to see everything that was acknowledged before it.
    ///   - body: gets the state as of one command. While it runs, nothing is applied on this member and no other read
    ///     runs: take what you need and leave.
    public func read<Value: Sendable>(
        _ consistency: ReadConsistency = .linearizable, _ body: @Sendable (Machine) throws -> Value
    ) async throws -> Value {
        let running = try requireRunning()
        do throws(RaftError) {
            if consistency == .linearizable { _ = try await reads.ask { ticket in running.node.read(ticket) } }
        } catch {
            metrics.read(succeeded: false)
            throw await explained(error)
        }
        metrics.read(succeeded: true)
        return try box.read(body)
    }

    /// Has this member stand for election now instead of when it misses a leader. With
    /// ``RaftOptions/preVote`` on, nothing comes of it while the others have one: to move leadership, use
    /// ``transferLeadership(to:timeout:)``.
    public func standForElection() throws(RaftError) { try requireRunning().node.campaign() }

    /// Waits until a leader is known, and says who.
    public func waitForLeader(timeout: Duration = .seconds(10)) async throws(RaftError) -> NodeID {
        let end = ContinuousClock.now + timeout
        while true {
            if let leader = try requireRunning().node.published.status.leader { return leader }
            guard ContinuousClock.now < end else { throw .noLeader }
            try await pause()
        }
    }

    // MARK: Snapshots

    /// Writes a snapshot of this member's state now, whatever ``RaftOptions/snapshotEntries`` and
    /// ``RaftOptions/snapshotBytes`` say, and cuts the log behind it as after any other. Needs no leader, and holds up
    /// nothing: it is written beside the work that goes on. Before a stop, say, so that the next start has little to
    /// replay.
    ///
    /// - Returns: up to where the newest snapshot reaches, when it is durable. It includes everything that had been
    ///   applied when it was asked for; where nothing was since the last one, that is the one.
    /// - Throws: ``RaftError/noState`` on a member that is new and has not heard from its cluster yet. A snapshot that
    ///   was not waited for (``RaftError/cancelled``) is written all the same.
    @discardableResult
    public func takeSnapshot() async throws(RaftError) -> LogIndex {
        let running = try requireRunning()
        let index: LogIndex
        do throws(RaftError) {
            index = try await snapshots.ask { ticket in running.node.flush(ticket) }
        } catch {
            throw await explained(error)
        }
        guard index > .zero else { throw .noState }
        return index
    }

    /// Between two looks at something that nobody tells of.
    func pause() async throws(RaftError) {
        do { try await Task.sleep(for: .milliseconds(5)) } catch { throw .cancelled }
    }
}
