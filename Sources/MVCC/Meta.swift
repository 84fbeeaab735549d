internal import ByteCodec
internal import StorageEngine

/// The name of a small value that another part of the replica keeps in the table `meta`, beside the data and in the
/// same batches: the configuration, members, alarms.
package struct MetaName: Hashable, Sendable, ExpressibleByStringLiteral {
    package var bytes: [UInt8]

    package init(bytes: [UInt8]) { self.bytes = bytes }
    package init(stringLiteral text: String) { bytes = Array(text.utf8) }

    /// Names of others begin with one; zero is the state's own.
    private static let marker: UInt8 = 1

    /// The value's key in the table, for whoever fills an engine row by row.
    package var rowKey: [UInt8] { [Self.marker] + bytes }

    /// A value as it lies in the table, for whoever fills an engine row by row: a CRC-32C of the row's key and the
    /// value (little-endian), then the value.
    package func rowValue(_ value: [UInt8]) -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: 4 + value.count)
        writer.write(checksum(value[...]))
        writer.write(value)
        return writer.finish()
    }

    /// The value in a row; throws if the row is not what was written.
    func value(ofRow row: [UInt8]) throws(StateError) -> [UInt8] {
        let value = row.dropFirst(4)
        let stored = row.prefix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard row.count >= 4, checksum(value) == stored else {
            throw .corrupt("meta: the checksum of \"\(String(decoding: bytes, as: UTF8.self))\" is wrong")
        }
        return Array(value)
    }

    private func checksum(_ value: ArraySlice<UInt8>) -> UInt32 {
        var sum = CRC32C()
        sum.update(rowKey)
        unsafe value.withUnsafeBytes { unsafe sum.update($0) }
        return sum.value
    }

    static func value(_ name: MetaName, _ view: LayeredView) throws(StateError) -> [UInt8]? {
        guard let row = view.value(.meta, name.rowKey) else { return nil }
        return try name.value(ofRow: row)
    }

    static func rows(
        _ prefix: MetaName, cursor: LayeredCursor
    ) throws(StateError) -> [(name: MetaName, value: [UInt8])] {
        var found: [(name: MetaName, value: [UInt8])] = []
        let start = prefix.rowKey
        var more = unsafe withBytes(start) { unsafe cursor.seek($0) }
        while more, unsafe cursor.key.starts(with: start) {
            let name = unsafe MetaName(bytes: Array(cursor.key.dropFirst()))
            found.append((name, try unsafe name.value(ofRow: Array(cursor.value))))
            more = cursor.next()
        }
        return found
    }
}

/// The one row of the table `meta` that is the state's own: where it stands. It is written when a layer is frozen, so
/// that it is in the same engine batch as the data that it speaks of.
struct StateRow: Equatable {
    var applied = LogPosition.zero
    var revision = Revision.first
    /// What a Compact command asked for last: nothing older can be read.
    var compactRevision = Revision.neverCompacted
    /// Up to where rows have been removed.
    var finishedCompactRevision = Revision.neverCompacted
    /// The lease clock as of the last lease command.
    var leaseClock = LeaseTime.zero
    var runningHash = RunningHash()

    static let rowKey: [UInt8] = [0]
    /// The version of all of the state's tables. Raised when a member of an older version could not read them.
    static let formatVersion: UInt8 = 3
    /// How many numbers a row of each version has. The first knew no leases, the second no running hash.
    private static let numbersOfVersions: [UInt8: Int] = [1: 5, 2: 6, 3: 8]

    func encode() -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: 1 + 8 * 8 + 4)
        writer.write(Self.formatVersion)
        writer.write(applied.index)
        writer.write(applied.term)
        for number in [revision, compactRevision, finishedCompactRevision] {
            writer.write(UInt64(bitPattern: number.rawValue))
        }
        writer.write(leaseClock.rawValue)
        writer.write(UInt64(runningHash.value))
        writer.write(runningHash.since)
        writer.write(CRC32C.checksum(writer.bytes))
        return writer.finish()
    }

    init() {}

    init(decoding bytes: [UInt8]) throws(StateError) {
        guard let format = bytes.first else { throw .corrupt("meta: the state's row is empty") }
        guard let numbers = Self.numbersOfVersions[format] else { throw .unknownFormat(format) }
        let end = 1 + 8 * numbers
        guard bytes.count == end + 4 else { throw .corrupt("meta: the state's row has \(bytes.count) bytes") }
        try unsafe withBytes(bytes) { raw throws(StateError) in
            func number(_ place: Int) -> UInt64 {
                unsafe UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: 1 + 8 * place, as: UInt64.self))
            }
            let sum = unsafe UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: end, as: UInt32.self))
            guard unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: raw[..<end])) == sum else {
                throw .corrupt("meta: the checksum of the state's row is wrong")
            }
            applied = LogPosition(index: number(0), term: number(1))
            revision = Revision(Int64(bitPattern: number(2)))
            compactRevision = Revision(Int64(bitPattern: number(3)))
            finishedCompactRevision = Revision(Int64(bitPattern: number(4)))
            if numbers > 5 { leaseClock = LeaseTime(number(5)) }
            runningHash = numbers > 6
                ? RunningHash(value: UInt32(truncatingIfNeeded: number(6)), since: number(7))
                : RunningHash(value: 0, since: applied.index)
        }
        guard revision >= .first, compactRevision >= .neverCompacted, compactRevision <= revision,
            finishedCompactRevision >= .neverCompacted, finishedCompactRevision <= compactRevision
        else { throw .corrupt("meta: the state's row contradicts itself") }
    }
}
