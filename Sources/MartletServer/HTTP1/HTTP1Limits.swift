import NIOCore
import NIOHTTP1

/// What HTTP/1.1 connections may use and how long they may take: every queue and buffer of this folder has its limit
/// here.
struct HTTP1Limits: Sendable {
    // MARK: Sizes

    /// One header field, its name and value.
    var headerFieldBytesMax = 16 << 10
    /// All header fields of a request.
    var headerBytesMax = 64 << 10
    var headerFieldsMax = 128
    /// A body that is gathered before it is answered; beyond it the answer is an error.
    var bodyBytesMax = 4 << 20
    /// Bodies that are being gathered, or worked on, on one event loop together; beyond it requests are refused.
    var bodyBytesOfLoopMax = 256 << 20
    /// Bytes of a body nobody wants that are still read, so that the client comes to read its answer; beyond it the
    /// connection is closed.
    var discardedBytesMax = 16 << 20

    // MARK: Times

    /// From a connection's first bytes to the end of its first request's head.
    var firstHeadTimeout: TimeAmount = .seconds(30)
    /// From one answer to the end of the next request's head.
    var idleTimeout: TimeAmount = .minutes(5)
    /// From a request's head to the end of a body that is gathered.
    var bodyTimeout: TimeAmount = .minutes(1)
    /// A client that takes nothing of what waits for it.
    var stallTimeout: TimeAmount = .minutes(1)

    var decoder: NIOHTTPDecoderLimitConfiguration {
        var configuration = NIOHTTPDecoderLimitConfiguration()
        configuration.maxHeaderFieldSize = headerFieldBytesMax
        configuration.maxHeaderListSize = headerBytesMax
        configuration.maxHeaderFieldCount = headerFieldsMax
        return configuration
    }
}
