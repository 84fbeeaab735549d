internal import NIOCore
internal import PeerTransport
internal import Platform
internal import RaftCore
internal import SocketSupport
internal import Synchronization

/// The way to one other member: its queue, the connection that empties it, and the dialling when there is none.
///
/// `enqueue` may be called on any thread; all else is confined to the link's event loop.
final class PeerLink: PeerConnectionOwner, @unchecked Sendable {
    private enum Phase {
        /// No endpoints are known.
        case idle
        case backingOff(Scheduled<Void>)
        case dialling(Dial)
        /// From the connection's first moment; whether the handshake is done, the outbox knows.
        case connected(PeerConnection)
        case stopped
    }

    let node: NodeID
    private let eventLoop: any EventLoop
    private let context: TransportContext
    private let counters: PeerCounters
    private let outbox: Mutex<Outbox>

    private var endpoints: [Endpoint] = []
    private var nextEndpoint = 0
    private var phase = Phase.idle
    private var random: RandomSource
    /// Attempts that failed, one after the other.
    private var failures = 0
    /// Of the attempts before this one, so many in a row were refused.
    private var refusals = 0
    private var loggedReasons: Set<String> = []
    private var stopPromise: EventLoopPromise<Void>?
    private var isInDrain = false
    /// What the connection was handed to write, until it has.
    private var underway: Underway?
    /// Empty between the rounds of writing: kept for its memory.
    private var frames: [Outbox.Frame] = []

    private struct Underway {
        var epoch: Int
        var messages = 0
        var bytes = 0
        /// Of the last frame, to be used again.
        var buffer: ByteBuffer
    }

    /// So many rounds of writing without letting other connections of the event loop have their turn.
    private static let drainRounds = 16

    init(node: NodeID, eventLoop: any EventLoop, context: TransportContext, random: RandomSource) {
        self.node = node
        self.eventLoop = eventLoop
        self.context = context
        self.random = random
        counters = context.counters(of: node)
        outbox = Mutex(Outbox(limits: context.options.limits, wire: context.options.wire))
    }

    private var timings: PeerTransportTimings { context.options.timings }
    private var name: (String, String) { ("remote-peer-id", hexadecimal(node.rawValue)) }

    // MARK: Sending, on any thread

    /// Takes those of the messages that are for this member.
    func enqueue(_ messages: [Message]) {
        var dropped: UInt64 = 0
        var unsendable = 0
        let (isWakeUpNeeded, isReportDue) = outbox.withLock { outbox in
            for message in messages where message.to == node {
                switch outbox.append(message) {
                case .queued, .unwanted: break
                case .full: dropped += 1
                case .unsendable:
                    dropped += 1
                    unsendable += 1
                }
            }
            let isReportDue = dropped > 0 && outbox.claimReport(interval: timings.unreachableInterval)
            return (outbox.claimDrain(), isReportDue)
        }
        if isWakeUpNeeded { eventLoop.execute { self.drain() } }
        guard dropped > 0 else { return }
        counters.update { [dropped] in $0.droppedMessages += dropped }
        if unsendable > 0 {
            context.log(
                .error, "dropped messages that are larger than a frame may be, or may not travel alone",
                [name, ("count", "\(unsendable)")])
        }
        // Not from here: the caller may hold what the receiver wants.
        if isReportDue { eventLoop.execute { self.context.receiver.unreachable(self.node) } }
    }

    // MARK: Writing

    /// Writes until nothing is left or the socket is full.
    private func drain() {
        guard case .connected(let connection) = phase, !isInDrain, underway == nil else { return }
        isInDrain = true
        defer { isInDrain = false }
        for _ in 0..<Self.drainRounds {
            var frames: [Outbox.Frame] = []
            swap(&frames, &self.frames)
            defer {
                frames.removeAll(keepingCapacity: true)
                swap(&frames, &self.frames)
            }
            let epoch = outbox.withLock { outbox in
                outbox.take(into: &frames)
                return outbox.epoch
            }
            for position in frames.indices {
                frames[position].buffer.withUnsafeMutableReadableBytes { PeerFrame.seal($0) }
            }
            guard let last = frames.last else { return }
            var writing = Underway(epoch: epoch, buffer: last.buffer)
            for frame in frames {
                writing.messages += frame.messages
                writing.bytes += frame.buffer.readableBytes
            }
            underway = writing
            let isOpen = connection.write(frames.lazy.map { $0.buffer })
            if !isOpen { underway = nil }
            if underway != nil || !isOpen { return }
        }
        // It still counts as draining: nobody else will.
        eventLoop.execute { self.drain() }
    }

    func wrote(_ connection: PeerConnection, succeeded: Bool) {
        // What a connection before this one was to write is not underway any more.
        guard let written = underway, case .connected(let current) = phase, current === connection else { return }
        underway = nil
        var kept: ByteBuffer? = written.buffer
        // Emptied when it is used again: here the write that has just ended still holds it, and it would be copied.
        if let capacity = kept?.capacity, capacity > context.options.limits.keptBufferBytes { kept = nil }
        outbox.withLock { $0.finished((written.messages, written.bytes), epoch: written.epoch, kept: kept) }
        guard succeeded else { return }
        counters.update {
            $0.sentMessages += UInt64(written.messages)
            $0.sentBytes += UInt64(written.bytes)
        }
        guard !isInDrain else { return }
        connection.noteProgress()
        drain()
    }

    // MARK: Connecting

    /// Where the member can be reached from now on. A connection that is up stays.
    func setEndpoints(_ texts: [String]) {
        eventLoop.execute {
            let endpoints = texts.compactMap { text in
                let endpoint = Endpoint(text)
                if endpoint == nil { self.logOnce(.error, "cannot use an address of a peer", "address \(text)") }
                return endpoint
            }
            guard endpoints != self.endpoints else { return }
            self.endpoints = endpoints
            self.refusals = 0
            self.nextEndpoint = 0
            switch self.phase {
            case .idle: self.dial()
            case .backingOff(let pause):
                pause.cancel()
                self.dial()
            case .dialling, .connected, .stopped: break
            }
        }
    }

    private func dial() {
        guard !endpoints.isEmpty else {
            phase = .idle
            return
        }
        let endpoint = endpoints[nextEndpoint % endpoints.count]
        phase = .dialling(
            Dial(endpoint, eventLoop: eventLoop, options: context.options) { self.dialled(endpoint, $0) })
    }

    private func dialled(_ endpoint: Endpoint, _ result: Result<any Channel, any Error>) {
        guard case .dialling = phase else {
            // Stopped meanwhile.
            if case .success(let channel) = result { channel.close(promise: nil) }
            finishStopping()
            return
        }
        do {
            let options = context.options
            let connection = PeerConnection(
                role: .dialler(
                    PeerHello(
                        versions: options.versions, purpose: .messages, features: options.features,
                        cluster: options.cluster, from: options.node, to: node, directory: options.directory)),
                owner: self, eventLoop: eventLoop, timings: options.timings, wire: options.wire)
            let channel = try result.get()
            refusals = 0
            phase = .connected(connection)
            do {
                try channel.pipeline.syncOperations.addHandler(connection)
                if !channel.isActive { connection.close(.closedByPeer) }
            } catch {
                channel.close(promise: nil)
                connection.close(.socket(SocketFailure.text(error)))
            }
        } catch {
            // An address that it has no more says nothing about it.
            refusals = SocketFailure.isRefusal(error) && endpoints.contains(endpoint) ? refusals + 1 : 0
            failed("cannot connect to \(endpoint): \(SocketFailure.text(error))")
            if case .backingOff = phase, refusals > 0, refusals >= endpoints.count { context.receiver.gone(node) }
        }
    }

    func connectionUp(_ connection: PeerConnection, welcome: PeerWelcome) {
        if let objection = context.objection(to: welcome) { return connection.close(objection) }
        outbox.withLock { $0.goUp(welcome.features.intersection(context.options.features)) }
        counters.update {
            $0.isConnected = true
            $0.connectedSince = NIODeadline.now().uptimeNanoseconds
            $0.connections += 1
        }
        logOnce(.info, "connected to a peer", "connected")
        if outbox.withLock({ $0.claimDrain() }) { drain() }
    }

    func connectionClosed(_ connection: PeerConnection, reason: CloseReason) {
        // One that lasted starts anew; one that ended at once is another failure, or it would be dialled without end.
        if outbox.withLock({ $0.isUp }), connection.age > timings.settledAfter {
            failures = 0
            loggedReasons = []
        }
        if case .stopped = phase { return finishStopping() }
        if case .refused(let refusal) = reason {
            switch refusal.code {
            case .anotherDirectory: context.options.disowned?(node)
            case .removedMember: context.options.removed?(node)
            default: break
            }
        }
        failed(reason.description)
    }

    /// Everything that waits is lost; the next attempt comes after a pause.
    private func failed(_ reason: String) {
        underway = nil
        let wasUp = outbox.withLock { $0.isUp }
        let isReportDue = takeDown() > 0 && outbox.withLock { $0.claimReport(interval: timings.unreachableInterval) }
        counters.update { $0.failures += 1 }
        logOnce(.warning, wasUp ? "lost the connection to a peer" : "cannot reach a peer", reason)
        // The pause is set up first: the receiver may stop us.
        let doublings = min(failures, 20)
        let longest = min(timings.longestBackOff.nanoseconds, timings.shortestBackOff.nanoseconds << Int64(doublings))
        let pause = longest / 2 + Int64(random.below(Int(longest / 2) + 1))
        failures += 1
        nextEndpoint &+= 1
        phase = .backingOff(
            eventLoop.scheduleTask(in: .nanoseconds(pause)) {
                guard case .backingOff = self.phase else { return }
                self.dial()
            })
        if wasUp || isReportDue { context.receiver.unreachable(node) }
    }

    /// Says how many messages were lost.
    private func takeDown() -> Int {
        let lost = outbox.withLock { $0.goDown() }
        counters.update {
            $0.isConnected = false
            $0.connectedSince = nil
            $0.droppedMessages += UInt64(lost)
        }
        return lost
    }

    private func logOnce(_ level: PeerTransportLogLevel, _ message: String, _ reason: String) {
        guard loggedReasons.count < context.options.limits.rememberedReasons, loggedReasons.insert(reason).inserted
        else { return }
        context.log(level, message, [name, ("reason", reason)])
    }

    func received(
        _ kind: PeerFrame.Kind, body: UnsafeRawBufferPointer, on connection: PeerConnection
    ) throws(PeerWireError) {
        throw .unexpectedFrame(kind.rawValue)
    }

    func readCompleted(_ connection: PeerConnection) {
        let bytes = connection.takeReceivedBytes()
        if bytes > 0 { counters.update { $0.receivedBytes += UInt64(bytes) } }
    }

    func measured(roundTrip: UInt64) { counters.update { $0.roundTrips.add(roundTrip) } }

    // MARK: The end

    /// Closes; complete when nothing of the link is left.
    func stop() -> EventLoopFuture<Void> {
        eventLoop.flatSubmit {
            if let promise = self.stopPromise { return promise.futureResult }
            let promise = self.eventLoop.makePromise(of: Void.self)
            self.stopPromise = promise
            let phase = self.phase
            self.phase = .stopped
            _ = self.takeDown()
            switch phase {
            case .idle, .stopped: self.finishStopping()
            case .backingOff(let pause):
                pause.cancel()
                self.finishStopping()
            case .dialling(let dial): dial.cancel()
            case .connected(let connection): connection.close(.stopped)
            }
            return promise.futureResult
        }
    }

    private func finishStopping() { stopPromise?.succeed() }
}
