package import NIOCore

/// What is called, on the call's event loop, when a call of a method arrives.
package enum GRPCMethodHandler: Sendable {
    /// With the one message of the call, when it is complete. The answer may come at once or later.
    case unary(@Sendable (GRPCCall, ByteBuffer) -> Void)
    /// At once; the messages go to the receiver that is given back.
    case streaming(@Sendable (GRPCCall) -> any GRPCStreamReceiver)
}

/// Takes the messages of a streaming call, on its event loop.
package protocol GRPCStreamReceiver: AnyObject {
    func onMessage(_ message: ByteBuffer)
    /// The client has sent its last message.
    func onHalfClose()
    /// The call has ended without our doing: reset, deadline, or the connection was lost. Not called after `finish`.
    func onCancel()
}

/// For a call that has ended before it began.
private final class NobodyReceiver: GRPCStreamReceiver {
    func onMessage(_ message: ByteBuffer) {}
    func onHalfClose() {}
    func onCancel() {}
}

/// The methods of a server by path ("/etcdserverpb.KV/Range").
package struct GRPCMethods: Sendable {
    package struct Method: Sendable {
        package let path: String
        let pathBytes: [UInt8]
        let handler: GRPCMethodHandler
    }

    package private(set) var all: [Method] = []
    /// Open addressing; twice as large as it need be, so that what is not there is soon found missing.
    private var table: [Int32] = [-1]
    private var services: Set<String> = []

    package init() {}

    package mutating func register(_ path: String, _ handler: GRPCMethodHandler) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        precondition(parts.count == 3 && parts[0].isEmpty, "not a gRPC path: \(path)")
        precondition(!all.contains { $0.path == path }, "registered twice: \(path)")
        all.append(Method(path: path, pathBytes: Array(path.utf8), handler: handler))
        services.insert(String(parts[1]))
        var size = 1
        while size < all.count * 4 { size *= 2 }
        table = [Int32](repeating: -1, count: size)
        for index in all.indices {
            var slot = all[index].pathBytes.withUnsafeBufferPointer { Self.hash($0) } & (size - 1)
            while table[slot] >= 0 { slot = (slot + 1) & (size - 1) }
            table[slot] = Int32(index)
        }
    }

    /// Puts a gate before every method that is registered so far: a call that it refuses ends with its status, and the
    /// method does not hear of it. The gate sees a unary call's message, and nil where a streaming call begins.
    package mutating func gate(
        _ refusal: @escaping @Sendable (_ call: GRPCCall, _ path: String, _ message: ByteBuffer?) -> GRPCStatus?
    ) {
        all = all.map { method in
            let path = method.path
            let handler: GRPCMethodHandler =
                switch method.handler {
                case .unary(let handle):
                    .unary { call, message in
                        guard let status = refusal(call, path, message) else { return handle(call, message) }
                        call.finish(status)
                    }
                case .streaming(let begin):
                    .streaming { call in
                        guard let status = refusal(call, path, nil) else { return begin(call) }
                        call.finish(status)
                        return NobodyReceiver()
                    }
                }
            return Method(path: path, pathBytes: method.pathBytes, handler: handler)
        }
    }

    func find(_ path: UnsafeBufferPointer<UInt8>) -> Int? {
        var slot = Self.hash(path) & (table.count - 1)
        while table[slot] >= 0 {
            let index = Int(table[slot])
            if isSame(all[index].pathBytes, path) { return index }
            slot = (slot + 1) & (table.count - 1)
        }
        return nil
    }

    private func isSame(_ known: [UInt8], _ path: UnsafeBufferPointer<UInt8>) -> Bool {
        known.count == path.count
            && known.withUnsafeBufferPointer { memoryEquals($0.baseAddress!, path.baseAddress!, path.count) }
    }

    /// FNV-1a. The table never grows by what a peer sends, so nobody can make it slow.
    private static func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return Int(truncatingIfNeeded: (hash ^ hash >> 32) & 0x7fff_ffff)
    }

    /// The texts of gRPC's Go server.
    func unknown(_ path: String) -> GRPCStatus {
        guard path.utf8.first == UInt8(ascii: "/"), let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            return GRPCStatus(.unimplemented, "malformed method name: \"\(path)\"")
        }
        let service = String(path[path.index(after: path.startIndex)..<slash])
        let method = path[path.index(after: slash)...]
        return services.contains(service)
            ? GRPCStatus(.unimplemented, "unknown method \(method) for service \(service)")
            : GRPCStatus(.unimplemented, "unknown service \(service)")
    }
}
