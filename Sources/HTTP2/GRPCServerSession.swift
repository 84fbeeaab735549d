internal import NIOCore

/// One connection's side of a gRPC server: makes calls, and remembers what their header fields mean.
final class GRPCServerSession: HTTP2ConnectionDelegate {
    let server: GRPCServer
    let counters: GRPCCounters
    /// Whose delegate we are: it keeps us, and nobody else does.
    unowned(unsafe) var connection: HTTP2Connection?
    private let fields = FieldCache()

    init(server: GRPCServer, counters: GRPCCounters) {
        self.server = server
        self.counters = counters
    }

    func makeStream() -> HTTP2Stream { GRPCCall(session: self, connection: connection!) }

    func connectionOpened() {
        counters.connections += 1
        counters.connectionsEver += 1
        if let connection { server.opened(connection) }
    }

    func connectionGoesAway(_ code: HTTP2ErrorCode, _ reason: String) {}

    func connectionClosed(_ reason: String) {
        counters.connections -= 1
        if let connection { server.closed(connection) }
        fields.removeAll()
    }

    @inline(__always)
    func meaning(of name: HTTP2Bytes, _ value: HTTP2Bytes) -> RequestField {
        if let known = fields.find(name, value) { return known }
        let meaning = RequestField(name, value, server)
        fields.insert(name, value, meaning)
        return meaning
    }
}

/// What a request's header field means for a call.
struct RequestField {
    enum Kind: UInt8 {
        case ignored
        case metadata
        case method  // argument: 1 when it is POST
        case path  // argument: the method's index, or -1
        case contentType  // argument: 1 when it is gRPC's
        case timeout  // argument: nanoseconds, or -1 when malformed
        case encoding  // argument: an `Encoding`
    }
    enum Encoding: Int64 {
        case identity, gzip, unknown
    }

    let kind: Kind
    /// What it is to the rules of HTTP, before it means anything to gRPC.
    let rule: RequestRules.Field
    /// As it counts for the size of a header list (RFC 9113 section 6.5.2).
    let size: Int32
    let argument: Int64

    init(_ name: HTTP2Bytes, _ value: HTTP2Bytes, _ server: GRPCServer) {
        let bytes = value.bytes
        rule = RequestRules.Field(name: name.bytes, value: bytes)
        size = Int32(clamping: name.bytes.count + bytes.count + 32)
        if name.equals(":path") {
            (kind, argument) = (.path, Int64(server.methods.find(bytes) ?? -1))
        } else if name.equals(":method") {
            (kind, argument) = (.method, value.equals("POST") ? 1 : 0)
        } else if name.equals("content-type") {
            (kind, argument) = (.contentType, Self.isGRPC(bytes) ? 1 : 0)
        } else if name.equals("grpc-timeout") {
            (kind, argument) = (.timeout, GRPCTimeout.parse(bytes) ?? -1)
        } else if name.equals("grpc-encoding") {
            let encoding: Encoding =
                value.equals("identity") ? .identity : value.equals("gzip") ? .gzip : .unknown
            (kind, argument) = (.encoding, encoding.rawValue)
        } else if name.equals("te") || name.equals(":scheme") {
            (kind, argument) = (.ignored, 0)
        } else {
            (kind, argument) = (.metadata, 0)
        }
    }

    /// "application/grpc", alone or followed by "+" or ";".
    private static func isGRPC(_ value: UnsafeBufferPointer<UInt8>) -> Bool {
        let prefix: StaticString = "application/grpc"
        guard value.count >= prefix.utf8CodeUnitCount else { return false }
        for index in 0..<prefix.utf8CodeUnitCount where value[index] | 0x20 != prefix.utf8Start[index] | 0x20 {
            return false
        }
        guard value.count > prefix.utf8CodeUnitCount else { return true }
        let next = value[prefix.utf8CodeUnitCount]
        return next == UInt8(ascii: "+") || next == UInt8(ascii: ";")
    }
}

/// Remembers what fields mean by the identity of their bytes, which fields from the peer's HPACK table keep from
/// request to request. The bytes are retained, so that an identity stays theirs.
final class FieldCache {
    private struct Entry {
        let name: HTTP2Bytes
        let value: HTTP2Bytes
        let meaning: RequestField
    }
    private static let size = 64  // header tables hold about as many; each entry keeps at most one field alive

    private let entries: UnsafeMutablePointer<Entry?>

    init() {
        entries = .allocate(capacity: Self.size)
        entries.initialize(repeating: nil, count: Self.size)
    }

    deinit {
        removeAll()
        entries.deallocate()
    }

    @inline(__always)
    private static func slot(_ value: HTTP2Bytes) -> Int {
        let bits = UInt(bitPattern: Int(bitPattern: value.identity))
        return Int((bits >> 4 ^ bits >> 10) & UInt(size - 1))
    }

    @inline(__always)
    func find(_ name: HTTP2Bytes, _ value: HTTP2Bytes) -> RequestField? {
        guard let entry = entries[Self.slot(value)], entry.value.identity == value.identity,
            entry.name.identity == name.identity
        else { return nil }
        return entry.meaning
    }

    func insert(_ name: HTTP2Bytes, _ value: HTTP2Bytes, _ meaning: RequestField) {
        // A large field is not kept alive by us: 64 of 64 KiB would be a lot for each connection.
        guard meaning.size <= 1024 else { return }
        let slot = Self.slot(value)
        name.retain()
        value.retain()
        release(slot)
        entries[slot] = Entry(name: name, value: value, meaning: meaning)
    }

    func removeAll() {
        for slot in 0..<Self.size { release(slot) }
    }

    private func release(_ slot: Int) {
        guard let entry = entries[slot] else { return }
        entry.name.release()
        entry.value.release()
        entries[slot] = nil
    }
}
