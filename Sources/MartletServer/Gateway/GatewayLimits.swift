import NIOCore

/// What the gateway may use on each event loop: every queue and buffer of this folder has its limit here.
struct GatewayLimits: Sendable {
    /// Calls with one answer that are open at once; beyond it requests are refused.
    var callsMax = 4096
    /// Their messages together, by size.
    var callBytesMax = 128 << 20
    /// One answer, before it is JSON; beyond it the call fails.
    var answerBytesMax = 256 << 20
    /// Streams that are open at once; beyond it requests are refused.
    var streamsMax = 1024
    /// One JSON object of a request.
    var objectBytesMax = 4 << 20
    /// How deep the braces and brackets of a request may go.
    var depthMax = 200
    /// Messages of a stream that have not gone to the service; beyond it no more of the request is read.
    var unsentBytesMax = 256 << 10
    /// What the service may send on one stream before we take it: with what waits in the client's socket, all that a
    /// client that does not read can have waiting here.
    var streamWindowBytes: Int32 = 64 << 10
    /// How much longer than the server's own time limit a call may take: it is for the server to say that it timed out.
    var deadlineAllowance: TimeAmount = .seconds(2)
    /// Fields of a request that are passed on to the service.
    var metadataFieldsMax = 16
    var metadataBytesMax = 4 << 10
}
