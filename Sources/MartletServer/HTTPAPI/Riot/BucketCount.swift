import MVCC

/// Counts a bucket's keys as of one moment, a piece at a time: however many they are, others have their turn between.
struct BucketCount: Sendable {
    private let bucket: RiotBucket
    private let view: ReadView
    private let keysMax: Int64
    private let pieceMax: Int
    /// Where the next piece begins; nil when there is none.
    private var rest: KeyRange?

    private(set) var keys: Int64 = 0
    /// Of keys, as clients know them, and values.
    private(set) var bytes: Int64 = 0

    /// - Parameter keysMax: where more than so many are not of interest; ``keys`` is one more then.
    init(of bucket: RiotBucket, in view: ReadView, keysMax: Int64 = .max, pieceMax: Int) {
        self.bucket = bucket
        self.view = view
        self.keysMax = keysMax
        self.pieceMax = pieceMax
        rest = bucket.keys
    }

    var isDone: Bool { rest == nil || keys > keysMax }

    /// Counts the next piece.
    mutating func step() throws(ReadError) {
        guard let range = rest else { return }
        let prefixBytes = bucket.keys.key.count
        var keys = keys
        var bytes = bytes
        var counted = 0
        var next: [UInt8]?
        try view.forEachPair(in: range) { pair in
            guard counted < pieceMax, keys <= keysMax else {
                next = Array(pair.key)
                return false
            }
            counted += 1
            keys += 1
            bytes += Int64(pair.key.count - prefixBytes + pair.value.count)
            return true
        }
        rest = next.flatMap { range.from($0) }
        self.keys = keys
        self.bytes = bytes
    }
}
