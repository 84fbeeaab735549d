internal import NIOCore

/// Bytes of one stream that wait for the codec to send them.
///
/// Small pieces are copied behind one another into one buffer, which is used again. Large ones are kept as they are, so
/// that one large message queued on many streams is in memory once.
struct OutboundQueue {
    /// From here on, a piece is kept rather than copied.
    static let keptPieceBytesMin = 8 << 10

    private(set) var count = 0
    private var pieces = CircularBuffer<ByteBuffer>()
    private var tail = ByteBuffer()

    var isEmpty: Bool { count == 0 }

    /// Appends what `body` writes behind a gRPC message prefix, whose length is filled in afterwards.
    mutating func appendMessage(writing body: (inout ByteBuffer) -> Void) -> Int {
        let prefix = tail.writerIndex
        tail.writeInteger(0, as: UInt8.self)
        tail.writeInteger(0, as: UInt32.self)
        body(&tail)
        // A closure that moved the writer back has written nothing that can be sent.
        precondition(tail.writerIndex >= prefix + 5, "a message's encoder took back bytes that were not its own")
        let length = tail.writerIndex - prefix - 5
        tail.setInteger(UInt32(length), at: prefix + 1)
        count += length + 5
        return length
    }

    mutating func appendMessage(_ message: ByteBuffer) {
        let length = message.readableBytes
        tail.writeInteger(0, as: UInt8.self)
        tail.writeInteger(UInt32(length))
        if length < Self.keptPieceBytesMin {
            tail.writeImmutableBuffer(message)
        } else {
            pieces.append(tail)
            tail = ByteBuffer()
            pieces.append(message)
        }
        count += length + 5
    }

    /// One message of several parts; its length.
    mutating func appendMessage(parts: [ByteBuffer]) -> Int {
        let length = parts.reduce(0) { $0 + $1.readableBytes }
        tail.writeInteger(0, as: UInt8.self)
        tail.writeInteger(UInt32(length))
        count += 5
        for part in parts { append(part) }
        return length
    }

    mutating func append(_ bytes: ByteBuffer) {
        if bytes.readableBytes < Self.keptPieceBytesMin {
            tail.writeImmutableBuffer(bytes)
        } else {
            if tail.readableBytes > 0 {
                pieces.append(tail)
                tail = ByteBuffer()
            }
            pieces.append(bytes)
        }
        count += bytes.readableBytes
    }

    /// Moves the first `length` bytes to `output`. There must be so many.
    mutating func take(_ length: Int, into output: inout ByteBuffer) {
        precondition(length <= count, "\(length) bytes of a stream asked for, where \(count) are queued")
        count -= length
        var missing = length
        while missing > 0, !pieces.isEmpty {
            let piece = min(missing, pieces[pieces.startIndex].readableBytes)
            pieces[pieces.startIndex].move(piece, to: &output)
            missing -= piece
            if pieces[pieces.startIndex].readableBytes == 0 { pieces.removeFirst() }
        }
        guard missing > 0 else { return }
        tail.move(missing, to: &output)
        if tail.readableBytes == 0 { tail.clear() }
    }

    /// Forgets everything; keeps the buffer for the next stream unless it has grown over `bytes`.
    mutating func removeAll(keepingAtMost bytes: Int) {
        if count > 0 || tail.readerIndex > 0 {
            pieces.removeAll()
            tail.clear()
            count = 0
        }
        if tail.capacity > bytes { tail = ByteBuffer() }
    }
}

extension ByteBuffer {
    fileprivate mutating func move(_ length: Int, to output: inout ByteBuffer) {
        withUnsafeReadableBytes { bytes in
            _ = output.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[..<length]))
        }
        moveReaderIndex(forwardBy: length)
    }
}
