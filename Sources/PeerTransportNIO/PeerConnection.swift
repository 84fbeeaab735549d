internal import NIOCore
internal import PeerTransport
internal import RaftCore
internal import SocketSupport

/// Why a connection ended.
enum CloseReason: Error, CustomStringConvertible {
    case stopped
    /// The other member closed it, or the network did.
    case closedByPeer
    case timedOut(String)
    case refused(PeerRefusal)
    case malformed(PeerWireError)
    case socket(String)
    /// Somebody answered, but not the member that was dialled.
    case wrongIdentity(String)
    /// The same member has connected anew.
    case replaced
    /// The member was taken out of the list of peers.
    case removed
    /// Its purpose is fulfilled.
    case done

    var description: String {
        switch self {
        case .stopped: "the transport was stopped"
        case .closedByPeer: "closed by the other side"
        case .timedOut(let what): "timed out: \(what)"
        case .refused(let refusal): "refused (\(refusal.code)): \(refusal.text)"
        case .malformed(let error): "malformed: \(error)"
        case .socket(let error): error
        case .wrongIdentity(let what): "wrong identity: \(what)"
        case .replaced: "replaced by a newer connection"
        case .removed: "no longer a peer"
        case .done: "done"
        }
    }
}

/// Who uses a connection. All calls come on the connection's event loop.
protocol PeerConnectionOwner: AnyObject {
    /// The dialler's handshake has succeeded.
    func connectionUp(_ connection: PeerConnection, welcome: PeerWelcome)
    /// A frame came that the connection itself has no use for. The body is valid during the call only.
    func received(
        _ kind: PeerFrame.Kind, body: UnsafeRawBufferPointer, on connection: PeerConnection
    ) throws(PeerWireError)
    /// All that a read brought has been delivered.
    func readCompleted(_ connection: PeerConnection)
    /// What ``PeerConnection/write(_:)`` was given has been written, or never will be.
    func wrote(_ connection: PeerConnection, succeeded: Bool)
    /// About once per ping interval.
    func tick(_ connection: PeerConnection, now: NIODeadline)
    /// How long a ping took, in nanoseconds.
    func measured(roundTrip: UInt64)
    /// The last call.
    func connectionClosed(_ connection: PeerConnection, reason: CloseReason)
}

extension PeerConnectionOwner {
    func connectionUp(_ connection: PeerConnection, welcome: PeerWelcome) {}
    func readCompleted(_ connection: PeerConnection) {}
    func wrote(_ connection: PeerConnection, succeeded: Bool) {}
    func tick(_ connection: PeerConnection, now: NIODeadline) {}
    func measured(roundTrip: UInt64) {}
}

/// One connection between members, either end of it: magic bytes, frames in and out, the dialler's half of the
/// handshake, pings, and the clocks that tell when the other side is gone. What the frames mean is its owner's
/// business.
///
/// Confined to its event loop, which is why it may claim to be `Sendable`.
final class PeerConnection: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Role {
        case dialler(PeerHello)
        case acceptor(HTTPGuest?)
    }

    /// What to do with a connection that turns out to ask by HTTP.
    struct HTTPGuest {
        var configure: @Sendable (any Channel) throws -> Void
        var bytesMax: Int
    }

    private enum Stage {
        case inactive
        /// The first four bytes are awaited.
        case magic
        case handshake
        case up
        /// Handlers behind this one speak HTTP; bytes and time are counted here.
        case http
        case closed
    }

    let eventLoop: any EventLoop
    private let role: Role
    private let timings: PeerTransportTimings
    private let wire: PeerWireLimits
    private var stage = Stage.inactive
    /// Held until the connection is closed: the pipeline holds the connection, and the owner lives as long.
    private var owner: (any PeerConnectionOwner)?
    private var context: ChannelHandlerContext?
    /// A frame that has come in part.
    private var stash: ByteBuffer?
    private var frameLimit: Int
    private var ticks: RepeatedTask?
    private var openedAt = NIODeadline.distantPast
    private var lastSign = NIODeadline.distantPast
    private var closeReason: CloseReason?
    /// What may still come on a connection that asks by HTTP; nil on any other.
    private var httpBytesLeft: Int?
    /// Of frames, both ways, since the owner last took them.
    private(set) var receivedBytes = 0
    private(set) var sentBytes = 0

    init(
        role: Role, owner: any PeerConnectionOwner, eventLoop: any EventLoop, timings: PeerTransportTimings,
        wire: PeerWireLimits
    ) {
        self.role = role
        self.owner = owner
        self.eventLoop = eventLoop
        self.timings = timings
        self.wire = wire
        frameLimit = wire.handshakeBytes
    }

    // MARK: For the owner

    var isUp: Bool { stage == .up }

    /// Writes can be handed over without piling up.
    var isWritable: Bool { context?.channel.isWritable ?? false }

    var remoteAddress: String { context?.channel.remoteAddress.map { "\($0)" } ?? "?" }

    /// The acceptor has seen the hello and takes the connection.
    func accept(_ welcome: PeerWelcome, frameLimit: Int) {
        stage = .up
        self.frameLimit = frameLimit
        write(PeerFrame.magic + PeerFrame.welcome(welcome).encoded())
    }

    /// Tells the other side why, and closes.
    func refuse(_ refusal: PeerRefusal) {
        guard let context, stage != .closed else { return }
        let prefix = stage == .up ? [] : PeerFrame.magic
        let bytes = prefix + PeerFrame.refusal(refusal).encoded(limits: wire)
        closeReason = .refused(refusal)
        stage = .closed
        let promise = eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: promise)
    }

    func write(_ frame: PeerFrame) { write(frame.encoded(limits: wire)) }

    private func write(_ bytes: [UInt8]) {
        guard let context, stage != .closed else { return }
        sentBytes += bytes.count
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    /// Writes sealed frames with one flush. False when the connection is no longer open; the owner is told of the end
    /// otherwise, once, possibly before this returns.
    func write(_ frames: some BidirectionalCollection<ByteBuffer>) -> Bool {
        guard let context, stage == .up, let last = frames.last else { return false }
        for frame in frames.dropLast() {
            sentBytes += frame.readableBytes
            context.write(wrapOutboundOut(frame), promise: nil)
        }
        sentBytes += last.readableBytes
        let promise = eventLoop.makePromise(of: Void.self)
        // It holds nothing but this connection, which costs no allocation.
        promise.futureResult.assumeIsolated().whenComplete { result in
            if case .success = result { self.wrote(true) } else { self.wrote(false) }
        }
        context.writeAndFlush(wrapOutboundOut(last), promise: promise)
        return true
    }

    private func wrote(_ succeeded: Bool) { owner?.wrote(self, succeeded: succeeded) }

    /// The socket has taken what it could not take at first: somebody reads at the other end.
    func noteProgress() { lastSign = .now() }

    /// How long the connection has been open.
    var age: TimeAmount { .now() - openedAt }

    func takeReceivedBytes() -> Int {
        defer { receivedBytes = 0 }
        return receivedBytes
    }

    func close(_ reason: CloseReason) {
        guard stage != .closed else { return }
        stage = .closed
        if closeReason == nil { closeReason = reason }
        if let context { context.close(promise: nil) } else { finish() }
    }

    // MARK: The channel's events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { open() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        finish()
    }

    func channelActive(context: ChannelHandlerContext) { open() }

    func channelInactive(context: ChannelHandlerContext) {
        if httpBytesLeft != nil { context.fireChannelInactive() }
        finish()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close(.socket(SocketFailure.text(error))) }

    private func open() {
        guard stage == .inactive else { return }
        stage = .magic
        openedAt = .now()
        lastSign = openedAt
        ticks = eventLoop.scheduleRepeatedTask(initialDelay: timings.pingInterval, delay: timings.pingInterval) {
            [weak self] _ in self?.tick()
        }
        if case .dialler(let hello) = role { write(PeerFrame.magic + PeerFrame.hello(hello).encoded()) }
    }

    /// The end, whichever way it came.
    private func finish() {
        stage = .closed
        ticks?.cancel()
        ticks = nil
        stash = nil
        guard let owner else { return }
        self.owner = nil
        owner.connectionClosed(self, reason: closeReason ?? .closedByPeer)
    }

    private func tick() {
        let now = NIODeadline.now()
        switch stage {
        case .inactive, .closed: return
        case .magic, .handshake:
            if now - openedAt > timings.handshakeTimeout { close(.timedOut("handshake")) }
        case .http:
            if now - openedAt > timings.handshakeTimeout { close(.timedOut("a request by HTTP")) }
        case .up:
            if now - lastSign > timings.readTimeout { return close(.timedOut("no sign of life")) }
            if case .dialler = role, isWritable { write(.ping(now.uptimeNanoseconds)) }
            owner?.tick(self, now: now)
        }
    }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard stage != .closed else { return }
        var buffer = unwrapInboundIn(data)
        if stage == .http { return pass(buffer) }
        receivedBytes += buffer.readableBytes
        // Taken out while it is read, since what is read may close this connection.
        if var whole = stash {
            stash = nil
            whole.writeBuffer(&buffer)
            deliver(&whole)
            keep(whole, isOwn: true)
        } else {
            deliver(&buffer)
            keep(buffer, isOwn: false)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if stage == .http { return context.fireChannelReadComplete() }
        lastSign = .now()
        owner?.readCompleted(self)
    }

    private func keep(_ rest: ByteBuffer, isOwn: Bool) {
        guard stage != .closed, rest.readableBytes > 0 else { return }
        if isOwn {
            var rest = rest
            rest.discardReadBytes()
            stash = rest
        } else {
            // The socket's buffer is wanted for the next read.
            stash = ByteBuffer(bytes: rest.readableBytesView)
        }
    }

    private func deliver(_ buffer: inout ByteBuffer) {
        do throws(PeerWireError) {
            if stage == .magic { try readMagic(&buffer) }
            while stage == .handshake || stage == .up {
                let limit = frameLimit
                let length = try buffer.withUnsafeReadableBytes { bytes throws(PeerWireError) -> Int? in
                    guard let body = try PeerFrame.firstBody(in: bytes, limit: limit) else { return nil }
                    try self.receive(UnsafeRawBufferPointer(rebasing: bytes[body]))
                    return body.upperBound
                }
                guard let length else { return }
                buffer.moveReaderIndex(forwardBy: length)
            }
        } catch {
            // What was whole before is delivered still.
            owner?.readCompleted(self)
            close(.malformed(error))
        }
    }

    private static let httpStart = Array("GET ".utf8)

    private func readMagic(_ buffer: inout ByteBuffer) throws(PeerWireError) {
        let start = buffer.readableBytesView.prefix(Self.httpStart.count)
        if case .acceptor(let guest?) = role, Self.httpStart.starts(with: start) {
            if start.count == Self.httpStart.count { becomeHTTP(guest, &buffer) }
            return
        }
        // The first wrong byte is enough: whoever talks HTTP to this port need not wait for a timeout.
        guard PeerFrame.magic.starts(with: buffer.readableBytesView.prefix(PeerFrame.magic.count)) else {
            throw .notAPeer
        }
        guard buffer.readableBytes >= PeerFrame.magic.count else { return }
        buffer.moveReaderIndex(forwardBy: PeerFrame.magic.count)
        stage = .handshake
    }

    // MARK: HTTP

    private func becomeHTTP(_ guest: HTTPGuest, _ buffer: inout ByteBuffer) {
        guard let context else { return }
        stage = .http
        httpBytesLeft = guest.bytesMax
        do {
            try guest.configure(context.channel)
        } catch {
            return close(.socket("\(error)"))
        }
        let first = buffer
        buffer.clear()
        pass(first)
    }

    private func pass(_ buffer: ByteBuffer) {
        let left = (httpBytesLeft ?? 0) - buffer.readableBytes
        guard left >= 0 else { return close(.malformed(.notAPeer)) }
        httpBytesLeft = left
        context?.fireChannelRead(wrapInboundOut(buffer))
    }

    private func receive(_ body: UnsafeRawBufferPointer) throws(PeerWireError) {
        let kind = try PeerFrame.kind(ofBody: body)
        switch kind {
        case .ping:
            guard stage == .up, case .ping(let number) = try PeerFrame(body: body) else {
                throw .unexpectedFrame(kind.rawValue)
            }
            // Somebody who sends pings and reads no answers must not fill our memory with them.
            if isWritable { write(.pong(number)) }
        case .pong:
            guard stage == .up, case .pong(let number) = try PeerFrame(body: body) else {
                throw .unexpectedFrame(kind.rawValue)
            }
            let now = NIODeadline.now().uptimeNanoseconds
            if number <= now { owner?.measured(roundTrip: now - number) }
        case .welcome, .refusal:
            guard case .dialler(let hello) = role else { throw .unexpectedFrame(kind.rawValue) }
            switch try PeerFrame(body: body, limits: wire) {
            case .welcome(let welcome) where stage == .handshake: onWelcome(welcome, to: hello)
            case .refusal(let refusal): close(.refused(refusal))
            default: throw .unexpectedFrame(kind.rawValue)
            }
        case .hello:
            guard case .acceptor = role, stage == .handshake else { throw .unexpectedFrame(kind.rawValue) }
            try owner?.received(kind, body: body, on: self)
        default:
            guard stage == .up else { throw .unexpectedFrame(kind.rawValue) }
            try owner?.received(kind, body: body, on: self)
        }
    }

    /// The acceptor has checked who dials; the dialler checks who answers.
    private func onWelcome(_ welcome: PeerWelcome, to hello: PeerHello) {
        guard welcome.cluster == hello.cluster else {
            return close(.wrongIdentity("a member of cluster \(hexadecimal(welcome.cluster)) answers"))
        }
        guard welcome.node == hello.to, welcome.dialler == hello.from else {
            return close(.wrongIdentity("member \(hexadecimal(welcome.node.rawValue)) answers"))
        }
        guard hello.versions.contains(welcome.version) else {
            return close(.wrongIdentity("the answer has version \(welcome.version)"))
        }
        // What comes back to a dialler is small: the frame limit stays the handshake's.
        stage = .up
        owner?.connectionUp(self, welcome: welcome)
    }
}

/// Ids as etcd's tools print them.
func hexadecimal(_ id: UInt64) -> String { String(id, radix: 16) }
