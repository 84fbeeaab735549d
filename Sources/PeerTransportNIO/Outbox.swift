internal import NIOCore
internal import PeerTransport
internal import RaftCore

/// What waits to be sent to one member: encoded already, in frames that lack only their length and checksum.
///
/// Messages are encoded by the thread that sends them. It costs that thread some tens of nanoseconds a message, and
/// saves keeping the messages alive across threads; it makes the queue's size exact, and leaves the event loop to do
/// nothing per message.
struct Outbox {
    struct Frame {
        var buffer: ByteBuffer
        var messages = 0
        var entries = 0
    }

    enum Outcome {
        case queued
        /// The other end does not know such messages, and nobody relies on them.
        case unwanted
        case full
        /// Larger than a frame may be, or a snapshot's description, which travels with its chunks: never to be sent.
        case unsendable
    }

    private let limits: PeerTransportLimits
    private let wire: PeerWireLimits
    private(set) var isUp = false
    /// While the connection is up: what both ends can.
    private var features: PeerFeatures = []
    /// Somebody has taken it on to write until nothing is left.
    private(set) var isDraining = false
    /// Grows with every connection, so that a write's end is not counted to a later one.
    private(set) var epoch = 0
    /// The last one is still open for more messages.
    private var frames: [Frame] = []
    private var spare: ByteBuffer?
    /// Waiting, or handed to the socket and not written yet.
    private(set) var messages = 0
    private(set) var bytes = 0
    private var lastReport: NIODeadline?

    init(limits: PeerTransportLimits, wire: PeerWireLimits) {
        self.limits = limits
        self.wire = wire
    }

    mutating func append(_ message: Message) -> Outcome {
        let size = MessageCodec.encodedSize(of: message)
        let entries = MessageCodec.entryCount(of: message)
        guard size < wire.frameBytes, entries <= wire.entriesPerFrame else { return .unsendable }
        if case .installSnapshot = message.body { return .unsendable }
        if case .forwardAnswer = message.body, !features.contains(.forwardAnswers) { return .unwanted }
        let bytesLimit = isUp ? limits.queueBytes : limits.disconnectedQueueBytes
        let messagesLimit = isUp ? limits.queueMessages : limits.disconnectedQueueMessages
        guard messages < messagesLimit, bytes + size <= bytesLimit else { return .full }
        if !lastFrameTakes(size, entries: entries) { openFrame(size) }
        let last = frames.count - 1
        frames[last].buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) {
            MessageCodec.encode(message, into: $0)
        }
        frames[last].messages += 1
        frames[last].entries += entries
        messages += 1
        bytes += size
        return .queued
    }

    private func lastFrameTakes(_ size: Int, entries: Int) -> Bool {
        guard let last = frames.last else { return false }
        return last.messages < wire.messagesPerFrame && last.entries + entries <= wire.entriesPerFrame
            && last.buffer.readableBytes + size <= min(limits.frameTargetBytes, wire.frameBytes)
    }

    private mutating func openFrame(_ size: Int) {
        var buffer: ByteBuffer
        if spare != nil {
            buffer = ByteBuffer()
            swap(&buffer, &spare!)
            spare = nil
            buffer.clear()
        } else {
            buffer = ByteBufferAllocator().buffer(capacity: max(4_096, size + PeerFrame.headerBytes + 1))
        }
        buffer.writeInteger(0 as UInt64)
        buffer.writeInteger(PeerFrame.Kind.messages.rawValue)
        bytes += PeerFrame.headerBytes + 1
        frames.append(Frame(buffer: buffer))
    }

    /// Whether the caller must see to it that the event loop drains: true once until it has.
    mutating func claimDrain() -> Bool {
        guard isUp, !isDraining, !frames.isEmpty else { return false }
        isDraining = true
        return true
    }

    /// Puts the next frames to write into `taken`, which is empty: about as many as a socket is handed at once. With
    /// none left, the draining is over. Two arrays take turns, so that they keep their memory.
    mutating func take(into taken: inout [Frame]) {
        guard isUp else { return }
        var total = 0
        var count = 0
        while count < frames.count, count == 0 || total + frames[count].buffer.readableBytes <= limits.writeBytes {
            total += frames[count].buffer.readableBytes
            count += 1
        }
        guard count > 0 else {
            isDraining = false
            return
        }
        if count == frames.count { return swap(&frames, &taken) }
        taken.append(contentsOf: frames[..<count])
        frames.removeFirst(count)
    }

    /// Those have been written, or have failed to be.
    mutating func finished(_ written: (messages: Int, bytes: Int), epoch: Int, kept: ByteBuffer?) {
        guard epoch == self.epoch else { return }
        messages -= written.messages
        bytes -= written.bytes
        if spare == nil { spare = kept }
    }

    mutating func goUp(_ features: PeerFeatures) {
        isUp = true
        self.features = features
        isDraining = false
        epoch += 1
    }

    /// Forgets what waits; says how many messages that were.
    mutating func goDown() -> Int {
        defer {
            frames = []
            messages = 0
            bytes = 0
            isUp = false
            features = []
            isDraining = false
            epoch += 1
        }
        return messages
    }

    /// Whether a drop is to be reported now, or was reported just before.
    mutating func claimReport(interval: TimeAmount) -> Bool {
        let now = NIODeadline.now()
        if let lastReport, now - lastReport < interval { return false }
        lastReport = now
        return true
    }
}
