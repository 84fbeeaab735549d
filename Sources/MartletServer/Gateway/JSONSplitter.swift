import NIOCore

/// Finds JSON objects that stand one after the other in bytes that come piece by piece. It looks at braces, brackets
/// and strings only: whether what is between them is JSON, the decoder of the object finds out.
struct JSONSplitter {
    enum Failure: Error, Equatable {
        case notAnObject
        case tooLarge(bytesMax: Int)
        case tooDeep(depthMax: Int)
        case truncated
    }

    private let bytesMax: Int
    private let depthMax: Int
    private var bytes = ByteBuffer()
    /// How far the object at the front has been looked at.
    private var offset = 0
    private var depth = 0
    private var isInString = false
    private var isEscaped = false

    init(bytesMax: Int, depthMax: Int) {
        self.bytesMax = bytesMax
        self.depthMax = depthMax
    }

    mutating func append(_ part: ByteBuffer) {
        if bytes.readableBytes == 0 { bytes = part } else { bytes.writeImmutableBuffer(part) }
    }

    /// The next object, when it is complete.
    mutating func next() throws(Failure) -> ByteBuffer? {
        skipBlanks()
        guard bytes.readableBytes > 0 else { return nil }
        let start = (offset, depth, isInString, isEscaped)
        let limit = depthMax
        let found: Result<Int?, Failure> = bytes.withUnsafeReadableBytes { bytes in
            var (offset, depth, isInString, isEscaped) = start
            if offset == 0, bytes[0] != UInt8(ascii: "{") { return .failure(.notAnObject) }
            defer {
                (self.offset, self.depth, self.isInString, self.isEscaped) = (offset, depth, isInString, isEscaped)
            }
            while offset < bytes.count {
                let byte = bytes[offset]
                offset += 1
                if isInString {
                    if isEscaped {
                        isEscaped = false
                    } else if byte == UInt8(ascii: "\\") {
                        isEscaped = true
                    } else if byte == UInt8(ascii: "\"") {
                        isInString = false
                    }
                    continue
                }
                switch byte {
                case UInt8(ascii: "\""): isInString = true
                case UInt8(ascii: "{"), UInt8(ascii: "["):
                    depth += 1
                    if depth > limit { return .failure(.tooDeep(depthMax: limit)) }
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    depth -= 1
                    if depth == 0 { return .success(offset) }
                default: break
                }
            }
            return .success(nil)
        }
        guard let length = try found.get() else {
            guard bytes.readableBytes <= bytesMax else { throw .tooLarge(bytesMax: bytesMax) }
            return nil
        }
        guard length <= bytesMax else { throw .tooLarge(bytesMax: bytesMax) }
        (offset, depth, isInString, isEscaped) = (0, 0, false, false)
        let object = bytes.readSlice(length: length)
        bytes.discardReadBytes()
        return object
    }

    /// At the end of all bytes: nothing but blanks may be left.
    mutating func finish() throws(Failure) {
        skipBlanks()
        if bytes.readableBytes > 0 { throw .truncated }
    }

    private mutating func skipBlanks() {
        guard offset == 0 else { return }
        let blanks = bytes.readableBytesView.prefix { $0 == 0x20 || $0 == 0x09 || $0 == 0x0a || $0 == 0x0d }
        bytes.moveReaderIndex(forwardBy: blanks.count)
    }
}

extension JSONSplitter.Failure: CustomStringConvertible {
    var description: String {
        switch self {
        case .notAnObject: "the request is not a JSON object"
        case .tooLarge(let bytesMax): "the JSON object is larger than \(bytesMax) bytes"
        case .tooDeep(let depthMax): "the JSON object goes deeper than \(depthMax) levels"
        case .truncated: "unexpected EOF: the JSON object is not complete"
        }
    }
}
