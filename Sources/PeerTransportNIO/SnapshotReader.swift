internal import ByteCodec
internal import NIOCore
internal import PeerTransport

/// The worker's part of an outgoing snapshot. Used on one worker, one step after the other, which is why it may claim
/// to be `Sendable`.
final class SnapshotReader: @unchecked Sendable {
    /// A frame: its head, and the payload as it was read.
    struct Chunk: Sendable {
        var frame: [ByteBuffer]
        /// The snapshot up to the end of this chunk.
        var totals: SnapshotTotals
    }

    private var source: (any SnapshotSource)?
    private var totals = SnapshotTotals()

    init(_ source: any SnapshotSource) { self.source = source }

    /// The source's next chunk, in pieces that the receiver takes; nil at the end.
    func next(chunkBytes: Int, mayCompress: Bool) throws -> (chunks: [Chunk], totals: SnapshotTotals)? {
        guard let bytes = try source?.nextChunk(mayCompress: mayCompress) else { return nil }
        var chunks: [Chunk] = []
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, start + chunkBytes)
            chunks.append(frame(start == 0 && end == bytes.count ? bytes : Array(bytes[start..<end])))
            start = end
        }
        return (chunks, totals)
    }

    private func frame(_ payload: [UInt8]) -> Chunk {
        var head = ByteWriter(reservingCapacity: 17)
        head.write(UInt32(1 + 8 + payload.count))
        head.write(0 as UInt32)
        head.write(PeerFrame.Kind.snapshotChunk.rawValue)
        head.write(totals.chunks)
        var checksum = CRC32C()
        checksum.update(Array(head.bytes[PeerFrame.headerBytes...]))
        checksum.update(payload)
        head.replace(at: 4, with: checksum.value)
        totals.add(payload)
        return Chunk(frame: [ByteBuffer(bytes: head.finish()), ByteBuffer(bytes: payload)], totals: totals)
    }

    func close() { source = nil }
}
