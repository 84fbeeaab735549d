import EtcdAPI
import HTTP2
import MVCC
import NIOCore

extension ServiceContext {
    /// What is refused before it costs anything: requests that are too large, and growth over the quota.
    func admit(_ call: GRPCCall, _ message: ByteBuffer, grows: Bool) -> Bool {
        if message.readableBytes > limits.requestBytesMax {
            call.finish(GRPCStatus(RequestError.requestTooLarge))
            return false
        }
        if grows, isOverQuota {
            call.finish(GRPCStatus(EtcdError.noSpace))
            return false
        }
        return true
    }
}
