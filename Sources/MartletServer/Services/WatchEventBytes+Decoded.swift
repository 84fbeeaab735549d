import EtcdAPI
import Replica

extension WatchEventBytes {
    /// For those within this process who look at events: what the encoder of ``LoopWatches`` wrote, read again.
    var decoded: [WireEvent<[UInt8]>] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        for piece in pieces { bytes.append(contentsOf: arena[piece]) }
        do {
            // It is the list of a response.
            return try bytes.withUnsafeBytes { bytes throws(WireError) in
                try WatchResponseView(decoding: bytes).events.map(\.owned)
            }
        } catch {
            preconditionFailure("events that this process encoded cannot be decoded: \(error)")
        }
    }
}
