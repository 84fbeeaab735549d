import Platform
import PlatformSimulation

/// Bit rot in a write-ahead log at rest, where it must be told from a torn write: anywhere but in the last batch, of
/// which no log without a second copy can say whether it was ever acknowledged (Documentation/formats).
enum LogRot {
    private static let headerBytes = 4096
    private static let recordHeadBytes = 24
    private static let recordMark: UInt8 = 0xa7

    /// Flips one bit.
    /// - Returns: where; nil if there is nothing that could be damaged so.
    static func flip(in disk: SimulatedDisk, _ directory: String, _ random: inout RandomSource) -> String? {
        guard let names = try? disk.list(directory) else { return nil }
        let segments = names.filter { $0.hasSuffix(".wal") }.sorted()
        guard let newest = segments.last, let bytes = disk.bytes(of: "\(directory)/\(newest)") else { return nil }
        let lastBatch = lastBatchStart(bytes)
        // What may be damaged of each segment: of the newest its header, and everything before its last batch.
        var choices = segments.dropLast().compactMap { name in
            disk.bytes(of: "\(directory)/\(name)").map { (name, $0.count) }
        }
        if let lastBatch, lastBatch > headerBytes { choices.append((newest, lastBatch)) }
        guard !choices.isEmpty else { return nil }
        let (name, end) = choices[random.below(choices.count)]
        // Mostly where something is: headers and what was never written are the larger part.
        let place = random.oneIn(4) ? random.below(end) : min(end - 1, headerBytes + random.below(end - headerBytes))
        let bit = UInt8(1) << UInt8(random.below(8))
        disk.flip("\(directory)/\(name)", at: place, mask: bit)
        return "bit \(bit) of byte \(place) of \(name)"
    }

    private static func lastBatchStart(_ bytes: [UInt8]) -> Int? {
        var place = headerBytes
        var start: Int?
        while place + recordHeadBytes <= bytes.count, bytes[place + 5] == recordMark {
            func number(_ offset: Int) -> Int {
                (0..<4).reduce(0) { $0 | Int(bytes[place + offset + $1]) << (8 * $1) }
            }
            start = place - number(8)
            place += (recordHeadBytes + number(0) + 7) / 8 * 8
        }
        return start
    }
}
