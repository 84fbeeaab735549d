internal import CNghttp2

/// Bytes of a header's name or value as the codec holds them, shared with its table of recent fields. A field that a
/// peer repeats is the same object again, so what was found out about it once can be remembered by `identity`, for as
/// long as it is retained.
struct HTTP2Bytes {
    let identity: OpaquePointer

    func retain() { nghttp2_rcbuf_incref(identity) }
    func release() { nghttp2_rcbuf_decref(identity) }

    var bytes: UnsafeBufferPointer<UInt8> {
        let vector = nghttp2_rcbuf_get_buf(identity)
        return UnsafeBufferPointer(start: vector.base, count: vector.len)
    }

    var string: String { String(decoding: bytes, as: UTF8.self) }

    var isUTF8: Bool { String(validating: bytes, as: UTF8.self) != nil }

    func equals(_ text: StaticString) -> Bool {
        let bytes = bytes
        return bytes.count == text.utf8CodeUnitCount
            && (bytes.isEmpty || memoryEquals(bytes.baseAddress!, text.utf8Start, bytes.count))
    }
}

func memoryEquals(_ a: UnsafePointer<UInt8>, _ b: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    for index in 0..<count where a[index] != b[index] { return false }
    return true
}

/// A block of header or trailer fields, laid out once as the codec wants it.
final class HTTP2HeaderBlock: @unchecked Sendable {  // never changes after init
    let fields: UnsafeMutableBufferPointer<nghttp2_nv>
    private let bytes: UnsafeMutableBufferPointer<UInt8>

    /// A `lasting` block stays for the life of the process, so that the codec need not copy what it points to.
    init(_ pairs: [(name: String, value: [UInt8])], lasting: Bool = false) {
        let size = pairs.reduce(0) { $0 + $1.name.utf8.count + $1.value.count }
        bytes = .allocate(capacity: max(1, size))
        fields = .allocate(capacity: pairs.count)
        let flags = lasting ? NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue : 0
        var offset = 0
        for (index, pair) in pairs.enumerated() {
            let name = offset
            for byte in pair.name.utf8 {
                bytes[offset] = byte
                offset += 1
            }
            let value = offset
            for byte in pair.value {
                bytes[offset] = byte
                offset += 1
            }
            fields.initializeElement(
                at: index,
                to: nghttp2_nv(
                    name: bytes.baseAddress! + name, value: bytes.baseAddress! + value, namelen: value - name,
                    valuelen: offset - value, flags: UInt8(flags)))
        }
    }

    convenience init(lasting pairs: [(String, String)]) {
        self.init(pairs.map { ($0.0, Array($0.1.utf8)) }, lasting: true)
    }

    deinit {
        fields.deallocate()
        bytes.deallocate()
    }

    static let grpcResponse = HTTP2HeaderBlock(lasting: [(":status", "200"), ("content-type", "application/grpc")])
    static let grpcOK = HTTP2HeaderBlock(lasting: [("grpc-status", "0"), ("grpc-message", "")])
}
