package import NIOCore

/// What one HTTP/2 connection may use and how long it may take: every queue and buffer of this target has its limit
/// here.
package struct HTTP2Limits: Sendable {
    // MARK: What the peer is told (RFC 9113 section 6.5.2)

    /// Streams that the peer may have open at once. Clients of gRPC put every call and every watch on one connection,
    /// and a connection that goes over this limit is lost with all of them, so it is high.
    package var concurrentStreamsMax: UInt32 = 1 << 20
    /// Bytes that the peer may send on one stream before we take them.
    package var streamWindowBytes: Int32 = 1 << 20
    /// Bytes that the peer may send on the whole connection before we take them.
    package var connectionWindowBytes: Int32 = 16 << 20
    /// Names, values and 32 bytes for each field of one header block (RFC 9113 section 6.5.2).
    package var headerListBytesMax = 64 << 10
    /// CONTINUATION frames after one HEADERS frame.
    package var continuationFramesMax = 8

    // MARK: What waits to be sent

    /// How much is written to the socket in one piece before the socket is asked whether it takes more.
    package var flushBytesMax = 256 << 10
    /// Such pieces of one connection before others of its event loop have their turn.
    package var flushRoundsMax = 8
    /// Bytes that may wait in the socket's queue before streams are not asked for more.
    package var socketQueueBytesMax = 512 << 10
    /// Bytes queued on all streams together beyond which new calls are refused with RESOURCE_EXHAUSTED.
    package var pendingBytesMax = 256 << 20
    /// While the socket takes nothing: queued bytes beyond which nothing more is read from the peer.
    package var blockedPendingBytesMax = 4 << 20
    /// While the socket takes nothing: frames queued in the codec beyond which nothing more is read from the peer.
    package var blockedFramesMax = 10_000
    /// Answers to PING and SETTINGS which may wait to be sent; beyond it, the connection is closed as a flood.
    package var queuedAcksMax = 10_000
    /// Entries of one SETTINGS frame.
    package var settingsEntriesMax = 64

    // MARK: What has been received and waits

    /// Bytes of incomplete messages on all streams of a connection together; a stream which would go over it ends with
    /// RESOURCE_EXHAUSTED.
    package var heldRequestBytesMax = 128 << 20
    /// Bytes that are still taken, and dropped, on a stream after its answer; beyond it the stream is reset.
    package var discardedBytesMax = 16 << 20
    /// How long a peer may leave its half of a stream open after the answer has been sent.
    package var discardTimeout: TimeAmount = .seconds(10)
    /// Ended streams kept for use again.
    package var streamPoolMax = 1024
    /// A buffer that grew over this is not kept for the next stream.
    package var keptBufferBytesMax = 4 << 10

    // MARK: Abuse

    /// Streams that a peer cancels, or makes us reset, cost one unit, and four when their call had been handed to a
    /// service; a stream that ends well gives one unit back. CVE-2023-44487 is a flood of cancelled streams, but a
    /// healthy client which cancels some hundred watches at once must not lose its connection.
    package var resetBudget = 20_000
    /// Units of the reset budget that come back each second.
    package var resetBudgetPerSecond = 2_000
    /// PINGs which arrive sooner than this after the one before count as a strike.
    package var pingIntervalMin: TimeAmount = .milliseconds(200)
    /// The same while no stream is open, or nil for no difference. gRPC's Go server has two hours here unless it
    /// permits pings without streams.
    package var pingIntervalMinWithoutStreams: TimeAmount?
    /// Strikes before the connection is closed with ENHANCE_YOUR_CALM "too_many_pings". Sending headers or data sets
    /// them to zero, as gRPC's servers do.
    package var pingStrikesMax = 50
    /// SETTINGS frames that a peer may send beyond one a second, in a burst.
    package var settingsFramesMax = 100
    /// Frames without use to anyone (PRIORITY, unknown types, empty DATA) beyond 1,000 a second, in a burst.
    package var uselessFramesMax = 20_000

    // MARK: Time

    /// How long a new connection may take to say which protocol it speaks.
    package var firstBytesTimeout: TimeAmount = .seconds(10)
    /// A connection from which nothing came for so long is asked for a sign of life; nil for never.
    package var keepAliveInterval: TimeAmount? = .hours(2)
    /// Within which that sign must come.
    package var keepAliveTimeout: TimeAmount = .seconds(20)
    /// A client pings for keep-alive although no call is open.
    package var keepAliveWithoutCalls = true
    /// Between the first GOAWAY, which only warns, and the second, when no answer to a PING tells that the first
    /// arrived.
    package var drainNoticeTimeout: TimeAmount = .seconds(1)
    /// How long a connection stays half open after its last frame, so that the peer can read why it was closed.
    package var lingerTimeout: TimeAmount = .seconds(1)

    package init() {}
}
