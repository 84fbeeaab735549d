import CNghttp2
import Glibc
import NIOCore

/// An HTTP/2 client without manners: a socket, and frames by hand. It blocks; every wait is bounded.
final class RawPeer {
    struct Frame {
        var type: UInt8
        var flags: UInt8
        var stream: UInt32
        var payload: [UInt8]

        var errorCode: UInt32? {
            switch type {
            case 3: number(at: 0)
            case 7: number(at: 4)
            default: nil
            }
        }
        func number(at index: Int) -> UInt32? {
            guard payload.count >= index + 4 else { return nil }
            return payload[index..<index + 4].reduce(0) { $0 << 8 | UInt32($1) }
        }
    }

    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    static let data: UInt8 = 0
    static let headers: UInt8 = 1
    static let priority: UInt8 = 2
    static let rst: UInt8 = 3
    static let settings: UInt8 = 4
    static let pushPromise: UInt8 = 5
    static let ping: UInt8 = 6
    static let goAway: UInt8 = 7
    static let windowUpdate: UInt8 = 8
    static let continuation: UInt8 = 9
    static let endStream: UInt8 = 1
    static let ack: UInt8 = 1
    static let endHeaders: UInt8 = 4
    static let padded: UInt8 = 8

    private var descriptor: Int32
    private var received: [UInt8] = []
    private(set) var isClosed = false
    private var inflater: OpaquePointer?

    init(port: Int, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var size = receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw IOError(errnoCode: errno, reason: "connect") }
        nghttp2_hd_inflate_new(&inflater)
    }

    /// A connection that has been accepted.
    init(descriptor: Int32) {
        self.descriptor = descriptor
        nghttp2_hd_inflate_new(&inflater)
    }

    deinit {
        if descriptor >= 0 { Glibc.close(descriptor) }
        nghttp2_hd_inflate_del(inflater)
    }

    /// Preface, SETTINGS, and the acknowledgement of the server's, which sends its own before it reads.
    static func ready(_ port: Int, settings: [UInt8] = []) throws -> RawPeer {
        let peer = try RawPeer(port: port)
        peer.send(preface + bytes(Self.settings, 0, 0, settings) + bytes(Self.settings, Self.ack, 0, []))
        return peer
    }

    static func bytes(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8], length: Int? = nil)
        -> [UInt8]
    {
        let length = length ?? payload.count
        return [UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255), type, flags]
            + (0..<4).map { UInt8(stream >> (24 - 8 * $0) & 255) } + payload
    }

    static func number(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(value >> (24 - 8 * $0) & 255) } }

    /// HPACK, every field literal and not to be indexed.
    static func block(_ fields: [(String, String)]) -> [UInt8] {
        fields.flatMap { [0] + string($0.0) + string($0.1) }
    }

    private static func string(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        guard bytes.count >= 127 else { return [UInt8(bytes.count)] + bytes }
        var rest = bytes.count - 127
        var length: [UInt8] = [127]
        while rest >= 128 {
            length.append(UInt8(rest & 127 | 128))
            rest >>= 7
        }
        return length + [UInt8(rest)] + bytes
    }

    static func request(
        _ path: String = "/test.Echo/Unary", extra: [(String, String)] = []
    ) -> [(String, String)] {
        [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test")]
            + [("content-type", "application/grpc"), ("te", "trailers")] + extra
    }

    static func message(_ bytes: [UInt8], flag: UInt8 = 0, length: Int? = nil) -> [UInt8] {
        [flag] + number(UInt32(length ?? bytes.count)) + bytes
    }

    /// False when the other side does not take it.
    @discardableResult
    func send(_ bytes: [UInt8], timeoutMilliseconds: Int32 = 5000) -> Bool {
        var offset = 0
        while offset < bytes.count {
            var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard Glibc.poll(&poll, 1, timeoutMilliseconds) == 1 else { return false }
            let count = bytes[offset...].withUnsafeBytes {
                Glibc.send(
                    descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            if count < 0 {
                if errno == EAGAIN { continue }
                return false
            }
            offset += count
        }
        return true
    }

    func sendFrame(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8], length: Int? = nil) {
        send(Self.bytes(type, flags, stream, payload, length: length))
    }

    func sendRequest(_ stream: UInt32, _ fields: [(String, String)] = request(), body: [UInt8]? = message([1, 2, 3])) {
        var bytes = Self.bytes(
            Self.headers, Self.endHeaders | (body == nil ? Self.endStream : 0), stream, Self.block(fields))
        if let body { bytes += Self.bytes(Self.data, Self.endStream, stream, body) }
        send(bytes)
    }

    func halfClose() { shutdown(descriptor, Int32(SHUT_WR)) }
    func close() {
        Glibc.close(descriptor)
        descriptor = -1
    }

    /// Raw bytes, until the other side closes or the time is over.
    func readAll(timeoutMilliseconds: Int32 = 3000) -> [UInt8] {
        while fill(timeoutMilliseconds) {}
        defer { received = [] }
        return received
    }

    /// Passes over what is no frame.
    func drop(_ count: Int) {
        while received.count < count, fill(3000) {}
        received.removeFirst(min(count, received.count))
    }

    private func fill(_ timeoutMilliseconds: Int32) -> Bool {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard !isClosed, Glibc.poll(&poll, 1, timeoutMilliseconds) == 1 else { return false }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else {
            isClosed = true
            return false
        }
        received += buffer[..<count]
        return true
    }

    /// The next frame; nil when the connection is closed or nothing comes.
    func next(timeoutMilliseconds: Int32 = 3000) -> Frame? {
        while true {
            if received.count >= 9 {
                let length = Int(received[0]) << 16 | Int(received[1]) << 8 | Int(received[2])
                if received.count >= 9 + length {
                    let frame = Frame(
                        type: received[3], flags: received[4],
                        stream: received[5..<9].reduce(0) { $0 << 8 | UInt32($1) } & 0x7fff_ffff,
                        payload: Array(received[9..<9 + length]))
                    received.removeFirst(9 + length)
                    return frame
                }
            }
            guard fill(timeoutMilliseconds) else { return nil }
        }
    }

    /// Frames up to the one that fits, which is the last; nil if it never comes. Settings are acknowledged on the way.
    func frames(timeoutMilliseconds: Int32 = 3000, until fits: (Frame) -> Bool) -> [Frame]? {
        var frames: [Frame] = []
        while let frame = next(timeoutMilliseconds: timeoutMilliseconds) {
            frames.append(frame)
            if fits(frame) { return frames }
        }
        return nil
    }

    struct Answer: Equatable {
        var httpStatus: String?
        var grpcStatus: String?
        var grpcMessage: String?
        var body: [UInt8] = []
        var reset: UInt32?
        var fields: [String: String] = [:]
    }

    /// Everything on a stream up to its end or reset; nil when the connection ends first.
    func answer(on stream: UInt32) -> Answer? {
        var answer = Answer()
        while let frame = next() {
            // Fields of every stream must be decoded, for the table's sake.
            let fields = frame.type == Self.headers ? decode(frame.payload) : []
            guard frame.stream == stream else { continue }
            for (name, value) in fields {
                answer.fields[name] = value
                if name == ":status" { answer.httpStatus = value }
                if name == "grpc-status" { answer.grpcStatus = value }
                if name == "grpc-message" { answer.grpcMessage = value }
            }
            if frame.type == Self.data { answer.body += frame.payload }
            if frame.type == Self.rst {
                answer.reset = frame.errorCode
                return answer
            }
            if frame.type == Self.headers || frame.type == Self.data, frame.flags & Self.endStream != 0 {
                return answer
            }
        }
        return nil
    }

    private func decode(_ block: [UInt8]) -> [(String, String)] {
        var fields: [(String, String)] = []
        var offset = 0
        while true {
            var pair = nghttp2_nv()
            var flags: Int32 = 0
            let taken = block[offset...].withUnsafeBufferPointer {
                nghttp2_hd_inflate_hd2(inflater, &pair, &flags, $0.baseAddress, $0.count, 1)
            }
            guard taken >= 0 else { return fields }
            offset += taken
            if flags & Int32(NGHTTP2_HD_INFLATE_EMIT.rawValue) != 0 {
                fields.append(
                    (
                        String(decoding: UnsafeBufferPointer(start: pair.name, count: pair.namelen), as: UTF8.self),
                        String(decoding: UnsafeBufferPointer(start: pair.value, count: pair.valuelen), as: UTF8.self)
                    ))
            }
            if flags & Int32(NGHTTP2_HD_INFLATE_FINAL.rawValue) != 0 {
                nghttp2_hd_inflate_end_headers(inflater)
                return fields
            }
        }
    }

    /// The code of the GOAWAY that ends the connection, and whether the connection is then closed.
    func connectionError() -> (code: UInt32?, isClosed: Bool) {
        var code: UInt32?
        while let frame = next() {
            if frame.type == Self.goAway { code = frame.errorCode }
        }
        return (code, isClosed)
    }
}
