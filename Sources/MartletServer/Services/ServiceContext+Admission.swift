import EtcdAPI
import HTTP2
import MVCC
import NIOCore

// What is refused before it costs anything: requests that are too large, and growth over the quota.
extension ServiceContext {
    /// Whether the request is no larger than a request may be; if it is, the call has been told so.
    func admitsSize(of message: ByteBuffer, for call: GRPCCall) -> Bool {
        guard message.readableBytes > limits.requestBytesMax else { return true }
        call.finish(GRPCStatus(RequestError.requestTooLarge))
        return false
    }

    /// Goes on at once, or when room was found; not at all where there is none, which the call is told.
    func withSpace(_ growth: Int, for call: GRPCCall, _ proceed: @escaping () -> Void) {
        if space.admits(growth) { proceed() } else { findSpace(growth, for: call, proceed) }
    }

    /// The same for a request that is no call of gRPC, which is told whether there was room.
    func withSpace(_ growth: Int, through requests: LoopRequests, _ done: @escaping (_ hasSpace: Bool) -> Void) {
        if space.admits(growth) { done(true) } else { findSpace(growth, through: requests, done) }
    }
}
