import Platform
import PlatformSimulation
import Testing
import WriteAheadLog

/// A record as a test remembers it.
struct Kept: Equatable, CustomStringConvertible {
    var kind: UInt8
    var payload: [UInt8]
    var location: RecordLocation

    var description: String { "\(kind)@\(location.segment):\(location.offset)+\(payload.count)" }
}

let testIdentity = [UInt8]("cluster-1/node-1".utf8)

func testOptions(segmentBytes: Int = 4096 + 4096, slice: Int = 2048, salt: UInt64 = 77) -> WALOptions {
    var options = WALOptions(identity: testIdentity, salt: salt)
    options.segmentBytes = segmentBytes
    options.fillSliceBytes = slice
    options.limits.openSegmentsMax = 2
    return options
}

func segmentPath(_ sequence: UInt64, in directory: String = "wal") -> String {
    let digits = String(sequence, radix: 16)
    return directory + "/" + String(repeating: "0", count: 16 - digits.count) + digits + ".wal"
}

/// Opens the log, collecting what is replayed.
func openLog(
    _ disk: any FileSystem, _ options: WALOptions = testOptions(), directory: String = "wal",
    into records: inout [Kept]
) throws(WALError) -> WriteAheadLog {
    var replayed: [Kept] = []
    let log = try WriteAheadLog.open(directory: directory, fileSystem: disk, options: options) {
        replayed.append(Kept(kind: $0.rawValue, payload: Array($1), location: $2))
    }
    records = replayed
    return log
}

/// Opens the log for what it says about itself, and lets go of it.
func inspect(
    _ disk: any FileSystem, _ options: WALOptions = testOptions()
) -> (result: Result<OpenReport, WALError>, records: [Kept]) {
    var records: [Kept] = []
    do throws(WALError) {
        let log = try openLog(disk, options, into: &records)
        return (.success(log.openReport), records)
    } catch {
        return (.failure(error), records)
    }
}

func replayed(_ disk: any FileSystem, _ options: WALOptions = testOptions()) throws -> [Kept] {
    let found = inspect(disk, options)
    _ = try found.result.get()
    return found.records
}

extension WriteAheadLog {
    /// Appends and remembers.
    mutating func keep(_ kind: UInt8, _ payload: [UInt8], in kept: inout [Kept]) throws(WALError) {
        let location = try append(kind: RecordKind(kind), payload)
        kept.append(Kept(kind: kind, payload: payload, location: location))
    }
}

/// Bytes that no other record has.
func payload(_ number: Int, _ count: Int) -> [UInt8] {
    var random = RandomSource(seed: UInt64(number) &* 1_000_003 &+ UInt64(count))
    let words = (0..<(count + 7) / 8).map { _ in random.next() }
    return words.withUnsafeBytes { Array(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
}

/// A synchronized log: `batches` batches of three records each.
func writtenLog(
    _ disk: any FileSystem, batches: Int, options: WALOptions = testOptions(), bytes: Int = 100
) throws -> [[Kept]] {
    var none: [Kept] = []
    var log = try openLog(disk, options, into: &none)
    var all: [[Kept]] = []
    for batch in 0..<batches {
        var kept: [Kept] = []
        for record in 0..<3 { try log.keep(UInt8(1 + record), payload(batch * 3 + record, bytes + record), in: &kept) }
        try log.synchronize()
        all.append(kept)
    }
    return all
}
