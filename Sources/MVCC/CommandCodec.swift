internal import ByteCodec

/// The records that the log's entries hold: one command each. The bytes are described in
/// `Documentation/formats/state.md`.
///
/// A record begins with the version of the format and the kind of the command. A member that meets a version or a kind
/// that it does not know stops, since skipping a command would part it from the others.
package enum CommandCodec {
    package static let version: UInt8 = 1

    /// What a record's second byte says. Values are never reused.
    enum Tag: UInt8 {
        case put = 1
        case delete = 2
        case transaction = 3
        case compact = 4
    }

    enum OperationTag: UInt8 {
        case empty = 0
        case put = 1
        case delete = 2
        case transaction = 3
        case range = 4
    }

    /// The options of a put, as they stand in its record.
    package struct PutFlags: OptionSet, Sendable {
        package var rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let prevKV = PutFlags(rawValue: 1)
        package static let ignoreValue = PutFlags(rawValue: 2)
        package static let ignoreLease = PutFlags(rawValue: 4)
        static let hasLease = PutFlags(rawValue: 8)
        static let known: UInt8 = 15
    }

    /// Whether the record holds a single put, by its head alone.
    package static func isPut(_ record: UnsafeRawBufferPointer) -> Bool {
        record.count > 2 && record[0] == version && record[1] == Tag.put.rawValue
    }

    // MARK: Encoding

    /// A put's record behind `prefixBytes` bytes of zero that are the caller's to fill, all in one allocation.
    package static func encodePut(
        key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, lease: LeaseID = .none, flags: PutFlags = [],
        prefixBytes: Int = 0
    ) -> [UInt8] {
        var flags = flags.subtracting(.hasLease)
        if lease != .none { flags.insert(.hasLease) }
        let leaseBits = UInt64(bitPattern: lease.rawValue)
        let count =
            prefixBytes + 3 + (lease == .none ? 0 : varintLength(leaseBits)) + varintLength(UInt64(key.count))
            + key.count
            + varintLength(UInt64(value.count)) + value.count
        return unsafe Array(unsafeUninitializedCapacity: count) { buffer, initialized in
            let base = UnsafeMutableRawPointer(buffer.baseAddress!)
            unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: prefixBytes)
            var place = unsafe base + prefixBytes
            unsafe place.storeBytes(of: version, as: UInt8.self)
            unsafe (place + 1).storeBytes(of: Tag.put.rawValue, as: UInt8.self)
            unsafe (place + 2).storeBytes(of: flags.rawValue, as: UInt8.self)
            unsafe place += 3
            if lease != .none { unsafe place = unsafe storeVarint(leaseBits, at: place) }
            unsafe place = unsafe storeVarint(UInt64(key.count), at: place)
            unsafe place = unsafe store(key, at: place)
            unsafe place = unsafe storeVarint(UInt64(value.count), at: place)
            unsafe place = unsafe store(value, at: place)
            initialized = unsafe place - base
        }
    }

    /// Any command's record behind `prefixBytes` bytes of zero.
    package static func encode(_ command: Command, prefixBytes: Int = 0) -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: prefixBytes + 64)
        for _ in 0..<prefixBytes { writer.write(UInt8(0)) }
        writer.write(version)
        switch command {
        case .put(let operation):
            writer.write(Tag.put.rawValue)
            write(operation, to: &writer)
        case .delete(let operation):
            writer.write(Tag.delete.rawValue)
            write(operation, to: &writer)
        case .transaction(let transaction):
            writer.write(Tag.transaction.rawValue)
            write(transaction, to: &writer)
        case .compact(let compaction):
            writer.write(Tag.compact.rawValue)
            writer.write(UInt8(compaction.physical ? 1 : 0))
            writer.writeVarint(UInt64(bitPattern: compaction.revision.rawValue))
        }
        return writer.finish()
    }

    private static func write(_ put: PutOperation, to writer: inout ByteWriter) {
        var flags: PutFlags = put.lease == .none ? [] : .hasLease
        if put.prevKV { flags.insert(.prevKV) }
        if put.ignoreValue { flags.insert(.ignoreValue) }
        if put.ignoreLease { flags.insert(.ignoreLease) }
        writer.write(flags.rawValue)
        if put.lease != .none { writer.writeVarint(UInt64(bitPattern: put.lease.rawValue)) }
        writer.writeLengthPrefixed(put.key)
        writer.writeLengthPrefixed(put.value)
    }

    private static func write(_ delete: DeleteOperation, to writer: inout ByteWriter) {
        writer.write(UInt8(delete.prevKV ? 1 : 0))
        write(delete.range, to: &writer)
    }

    private static func write(_ range: KeyRange, to writer: inout ByteWriter) {
        switch range.end {
        case .single: writer.write(UInt8(0))
        case .upTo: writer.write(UInt8(1))
        case .fromKey: writer.write(UInt8(2))
        }
        writer.writeLengthPrefixed(range.key)
        if case .upTo(let end) = range.end { writer.writeLengthPrefixed(end) }
    }

    private static func write(_ query: RangeQuery, to writer: inout ByteWriter) {
        writer.write(
            UInt8(query.keysOnly ? 1 : 0) | (query.countOnly ? 2 : 0) | (query.isSerializable ? 4 : 0))
        writer.write(query.sortOrder.rawValue)
        writer.write(query.sortTarget.rawValue)
        let numbers = [
            query.limit, query.revision.rawValue, query.minModRevision.rawValue, query.maxModRevision.rawValue,
            query.minCreateRevision.rawValue, query.maxCreateRevision.rawValue,
        ]
        var present: UInt8 = 0
        for (place, number) in numbers.enumerated() where number != 0 { present |= 1 << UInt8(place) }
        writer.write(present)
        for number in numbers where number != 0 { writer.writeVarint(UInt64(bitPattern: number)) }
        write(query.range, to: &writer)
    }

    private static func write(_ transaction: Transaction, to writer: inout ByteWriter) {
        writer.writeVarint(UInt64(transaction.comparisons.count))
        for comparison in transaction.comparisons { write(comparison, to: &writer) }
        for branch in [transaction.success, transaction.failure] {
            writer.writeVarint(UInt64(branch.count))
            for operation in branch { write(operation, to: &writer) }
        }
    }

    private static func write(_ comparison: Comparison, to writer: inout ByteWriter) {
        writer.write(comparison.relation.rawValue)
        switch comparison.operand {
        case .version(let number): write(0, number, to: &writer)
        case .createRevision(let number): write(1, number, to: &writer)
        case .modRevision(let number): write(2, number, to: &writer)
        case .value(let value):
            writer.write(UInt8(3))
            writer.writeLengthPrefixed(value)
        case .lease(let number): write(4, number, to: &writer)
        case .unrecognized: writer.write(UInt8(255))
        }
        write(comparison.range, to: &writer)
    }

    private static func write(_ target: UInt8, _ number: Int64, to writer: inout ByteWriter) {
        writer.write(target)
        writer.writeVarint(UInt64(bitPattern: number))
    }

    private static func write(_ operation: Operation, to writer: inout ByteWriter) {
        switch operation {
        case .empty: writer.write(OperationTag.empty.rawValue)
        case .put(let put):
            writer.write(OperationTag.put.rawValue)
            write(put, to: &writer)
        case .delete(let delete):
            writer.write(OperationTag.delete.rawValue)
            write(delete, to: &writer)
        case .transaction(let transaction):
            writer.write(OperationTag.transaction.rawValue)
            write(transaction, to: &writer)
        case .range(let query):
            writer.write(OperationTag.range.rawValue)
            write(query, to: &writer)
        }
    }

    // MARK: Decoding

    /// The command that a record holds. A record that ``encode(_:prefixBytes:)`` did not write, or not for this
    /// version, is an error that stops the member.
    package static func decode(_ bytes: UnsafeRawBufferPointer) throws(StateError) -> Command {
        let tag = try unsafe tag(of: bytes)
        var reader = unsafe ByteReader(UnsafeRawBufferPointer(rebasing: bytes[2...]))
        do throws(DecodingError) {
            let command: Command
            switch tag {
            case .put: command = .put(try readPut(&reader))
            case .delete: command = .delete(try readDelete(&reader))
            case .transaction: command = .transaction(try readTransaction(&reader, depth: 1))
            case .compact:
                let flags = try readFlags(&reader, known: 1)
                command = .compact(Compaction(revision: Revision(try readNumber(&reader)), physical: flags & 1 != 0))
            }
            try reader.expectEnd()
            return command
        } catch {
            throw .undecodableCommand("\(tag) record, byte \(reader.offset + 2): \(error)")
        }
    }

    package static func decode(_ bytes: [UInt8]) throws(StateError) -> Command {
        var result: Swift.Result<Command, StateError>?
        unsafe bytes.withUnsafeBytes { raw in
            result = Swift.Result { () throws(StateError) in try unsafe decode(raw) }
        }
        return try result!.get()
    }

    /// A put with key and value still in the record's memory.
    @safe struct BorrowedPut {
        var key: UnsafeRawBufferPointer
        var value: UnsafeRawBufferPointer
        var lease: LeaseID
        var flags: PutFlags
    }

    /// The put that a record holds, nil if it holds another command.
    static func decodeIfPut(_ bytes: UnsafeRawBufferPointer) throws(StateError) -> BorrowedPut? {
        guard try unsafe tag(of: bytes) == .put else { return nil }
        var reader = unsafe ByteReader(UnsafeRawBufferPointer(rebasing: bytes[2...]))
        do throws(DecodingError) {
            let put = try readBorrowedPut(&reader)
            try reader.expectEnd()
            return put
        } catch {
            throw .undecodableCommand("put record, byte \(reader.offset + 2): \(error)")
        }
    }

    private static func tag(of bytes: UnsafeRawBufferPointer) throws(StateError) -> Tag {
        guard bytes.count >= 2 else { throw .undecodableCommand("a record of \(bytes.count) bytes") }
        guard unsafe bytes[0] == version else { throw unsafe .unknownCommandVersion(bytes[0]) }
        guard let tag = unsafe Tag(rawValue: bytes[1]) else { throw unsafe .unknownCommand(tag: bytes[1]) }
        return tag
    }

    private static func readFlags(_ reader: inout ByteReader, known: UInt8) throws(DecodingError) -> UInt8 {
        let flags = try reader.readByte()
        guard flags & ~known == 0 else { throw .invalid("flags \(flags)") }
        return flags
    }

    private static func readNumber(_ reader: inout ByteReader) throws(DecodingError) -> Int64 {
        Int64(bitPattern: try reader.readVarint())
    }

    private static func readBorrowedPut(_ reader: inout ByteReader) throws(DecodingError) -> BorrowedPut {
        var flags = PutFlags(rawValue: try readFlags(&reader, known: PutFlags.known))
        var lease = LeaseID.none
        if flags.contains(.hasLease) {
            lease = LeaseID(try readNumber(&reader))
            // One command has one record.
            guard lease != .none else { throw .invalid("a lease of zero") }
            flags.remove(.hasLease)
        }
        let key = try unsafe reader.readLengthPrefixed()
        let value = try unsafe reader.readLengthPrefixed()
        return unsafe BorrowedPut(key: key, value: value, lease: lease, flags: flags)
    }

    private static func readPut(_ reader: inout ByteReader) throws(DecodingError) -> PutOperation {
        let put = try readBorrowedPut(&reader)
        return unsafe PutOperation(
            key: Array(put.key), value: Array(put.value), lease: put.lease, prevKV: put.flags.contains(.prevKV),
            ignoreValue: put.flags.contains(.ignoreValue), ignoreLease: put.flags.contains(.ignoreLease))
    }

    private static func readDelete(_ reader: inout ByteReader) throws(DecodingError) -> DeleteOperation {
        let flags = try readFlags(&reader, known: 1)
        return DeleteOperation(try readRange(&reader), prevKV: flags & 1 != 0)
    }

    private static func readRange(_ reader: inout ByteReader) throws(DecodingError) -> KeyRange {
        let kind = try reader.readByte()
        let key = try reader.readLengthPrefixedArray()
        switch kind {
        case 0: return KeyRange(key: key, end: .single)
        case 1: return KeyRange(key: key, end: .upTo(try reader.readLengthPrefixedArray()))
        case 2: return KeyRange(key: key, end: .fromKey)
        default: throw .invalid("range kind \(kind)")
        }
    }

    private static func readQuery(_ reader: inout ByteReader) throws(DecodingError) -> RangeQuery {
        let flags = try readFlags(&reader, known: 7)
        let orderNumber = try reader.readByte()
        guard let order = SortOrder(rawValue: orderNumber) else { throw .invalid("sort order \(orderNumber)") }
        let targetNumber = try reader.readByte()
        guard let target = SortTarget(rawValue: targetNumber) else { throw .invalid("sort target \(targetNumber)") }
        let present = try readFlags(&reader, known: 0x3f)
        func number(_ place: UInt8) throws(DecodingError) -> Int64 {
            guard present & (1 << place) != 0 else { return 0 }
            let number = try readNumber(&reader)
            guard number != 0 else { throw .invalid("a zero that is marked present") }
            return number
        }
        let limit = try number(0)
        let revision = try number(1)
        let minMod = try number(2)
        let maxMod = try number(3)
        let minCreate = try number(4)
        let maxCreate = try number(5)
        var query = RangeQuery(try readRange(&reader))
        query.keysOnly = flags & 1 != 0
        query.countOnly = flags & 2 != 0
        query.isSerializable = flags & 4 != 0
        query.sortOrder = order
        query.sortTarget = target
        query.limit = limit
        query.revision = Revision(revision)
        query.minModRevision = Revision(minMod)
        query.maxModRevision = Revision(maxMod)
        query.minCreateRevision = Revision(minCreate)
        query.maxCreateRevision = Revision(maxCreate)
        return query
    }

    /// How many of something follow. Each takes a byte at least, so that a wrong count cannot ask for much memory.
    private static func readCount(_ reader: inout ByteReader) throws(DecodingError) -> Int {
        let count = try reader.readVarint()
        guard count <= UInt64(reader.remaining) else {
            throw .truncated(needed: Int(clamping: count), available: reader.remaining)
        }
        return Int(count)
    }

    private static func readTransaction(_ reader: inout ByteReader, depth: Int) throws(DecodingError) -> Transaction {
        // Each level is a level of recursion here and in apply.
        guard depth <= Transaction.depthMax else { throw .invalid("transactions nested deeper than \(depth - 1)") }
        var comparisons: [Comparison] = []
        for _ in 0..<(try readCount(&reader)) { comparisons.append(try readComparison(&reader)) }
        let success = try readBranch(&reader, depth: depth)
        let failure = try readBranch(&reader, depth: depth)
        return Transaction(comparisons: comparisons, success: success, failure: failure)
    }

    private static func readBranch(_ reader: inout ByteReader, depth: Int) throws(DecodingError) -> [Operation] {
        var operations: [Operation] = []
        for _ in 0..<(try readCount(&reader)) { operations.append(try readOperation(&reader, depth: depth)) }
        return operations
    }

    private static func readComparison(_ reader: inout ByteReader) throws(DecodingError) -> Comparison {
        let relationNumber = try reader.readByte()
        guard let relation = Comparison.Relation(rawValue: relationNumber) else {
            throw .invalid("relation \(relationNumber)")
        }
        let target = try reader.readByte()
        let operand: Comparison.Operand
        switch target {
        case 0: operand = .version(try readNumber(&reader))
        case 1: operand = .createRevision(try readNumber(&reader))
        case 2: operand = .modRevision(try readNumber(&reader))
        case 3: operand = .value(try reader.readLengthPrefixedArray())
        case 4: operand = .lease(try readNumber(&reader))
        case 255: operand = .unrecognized
        default: throw .invalid("comparison target \(target)")
        }
        return Comparison(try readRange(&reader), relation, operand)
    }

    private static func readOperation(_ reader: inout ByteReader, depth: Int) throws(DecodingError) -> Operation {
        let number = try reader.readByte()
        guard let tag = OperationTag(rawValue: number) else { throw .invalid("operation \(number)") }
        switch tag {
        case .empty: return .empty
        case .put: return .put(try readPut(&reader))
        case .delete: return .delete(try readDelete(&reader))
        case .transaction: return .transaction(try readTransaction(&reader, depth: depth + 1))
        case .range: return .range(try readQuery(&reader))
        }
    }
}

/// Writes a varint and says where the next byte goes.
func storeVarint(_ value: UInt64, at place: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
    var place = unsafe place
    var rest = value
    while rest >= 0x80 {
        unsafe place.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
        unsafe place += 1
        rest >>= 7
    }
    unsafe place.storeBytes(of: UInt8(truncatingIfNeeded: rest), as: UInt8.self)
    return unsafe place + 1
}

/// Copies bytes and says where the next byte goes.
func store(_ bytes: UnsafeRawBufferPointer, at place: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
    if let source = bytes.baseAddress { unsafe place.copyMemory(from: source, byteCount: bytes.count) }
    return unsafe place + bytes.count
}
