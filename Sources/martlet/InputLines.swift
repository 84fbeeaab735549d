import Foundation

/// Standard input, a line at a time. Reading blocks.
struct InputLines {
    private static let pieceSize = 64 << 10

    private var buffer: [UInt8] = []
    private var next = 0
    /// Up to where there is no end of a line.
    private var searched = 0

    /// The next line without its end; nil where the input ends first, also in the middle of a line.
    mutating func nextLine() -> String? {
        while true {
            if let end = buffer[searched...].firstIndex(of: 0x0a) {
                defer {
                    next = end + 1
                    searched = next
                }
                return ArgumentBytes.text(Array(buffer[next..<end]))
            }
            buffer.removeFirst(next)
            next = 0
            searched = buffer.count
            guard readMore() else { return nil }
        }
    }

    private mutating func readMore() -> Bool {
        let piece = [UInt8](unsafeUninitializedCapacity: Self.pieceSize) { memory, count in
            var result = -1
            repeat {
                result = read(STDIN_FILENO, memory.baseAddress, Self.pieceSize)
            } while result < 0 && errno == EINTR
            count = max(0, result)
        }
        buffer += piece
        return !piece.isEmpty
    }

    /// All lines as they come, read by a thread of its own; ends with the input.
    static func stream() -> AsyncStream<String> {
        let (lines, continuation) = AsyncStream.makeStream(of: String.self)
        Thread.detachNewThread {
            var input = InputLines()
            while let line = input.nextLine() { continuation.yield(line) }
            continuation.finish()
        }
        return lines
    }
}
