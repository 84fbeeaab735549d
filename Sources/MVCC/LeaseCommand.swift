internal import ByteCodec

/// What the log's entries ask of the leases.
package enum LeaseCommand: Hashable, Sendable {
    case grant(LeaseID, ttl: Int64)
    case revoke(LeaseID)
    /// Each lives its whole TTL from now on.
    case renew([LeaseID])
    /// Ends those of these leases that still have the deadline that their end was proposed for. Only if the entry is of
    /// the proposer's own term: a leader that was asked to pass it on knows a clock that is behind the proposer's, and
    /// may have promised more time meanwhile (decision 0014).
    case expire([LeaseEnd], term: UInt64)
    /// Nothing but the clock.
    case tick
    /// Grants a lease and runs a transaction that attaches keys to it, both or neither: a lease to which nothing is
    /// attached then, because a comparison did not hold, is not granted (decision 0020).
    case grantWith(LeaseID, ttl: Int64, Transaction)
}

/// A lease that a leader found to be over, and the deadline that it went by.
package struct LeaseEnd: Hashable, Sendable {
    package var id: LeaseID
    package var deadline: LeaseTime

    package init(_ id: LeaseID, deadline: LeaseTime) {
        self.id = id
        self.deadline = deadline
    }
}

/// What applying a lease command came to.
package struct LeaseOutcome: Hashable, Sendable {
    package enum Result: Hashable, Sendable {
        case granted(Lease)
        case revoked
        /// The TTLs of the leases that were to be renewed, in their order; 0 for one that does not exist.
        case renewed([Int64])
        /// Those that the command named, whatever became of them.
        case expired([LeaseEnd])
        case ticked
        /// What the transaction came to, and the lease, unless it was taken back.
        case grantedWith(Lease?, TransactionAnswer)
        case failed(RequestError)
    }

    package var result: Result
    /// The store's revision after the command.
    package var revision: Revision

    package init(_ result: Result, revision: Revision) {
        self.result = result
        self.revision = revision
    }
}

/// The records of lease commands. The bytes are described in `Documentation/formats/state.md`.
///
///     version (1) · tag (1) · the leader's lease clock (8, little-endian) · body
///
/// The clock's place is fixed: the leader fills it in when it appends the command to its log.
package enum LeaseCommandCodec {
    package static let version: UInt8 = 1
    /// Leases that one command can name.
    package static let leasesMax = 8_192
    private static let stampOffset = 2
    private static let headBytes = 10

    /// What a record's second byte says. Values are never reused.
    private enum Tag: UInt8 {
        case grant = 1
        case revoke = 2
        case renew = 3
        case expire = 4
        case tick = 5
        case grantWith = 6
    }

    /// Writes the leader's clock into a record; zero where it is not known yet.
    package static func stamp(_ record: UnsafeMutableRawBufferPointer, with time: LeaseTime) {
        guard record.count >= headBytes else { return }
        record.storeBytes(of: time.rawValue.littleEndian, toByteOffset: stampOffset, as: UInt64.self)
    }

    /// Whether a record asks for little, by its head and its size alone: one that ends leases may delete many keys.
    package static func isQuick(_ record: UnsafeRawBufferPointer) -> Bool {
        guard record.count > 1, record.count <= quickBytesMax else { return false }
        switch Tag(rawValue: record[1]) {
        case .grant, .renew, .tick: return record[0] == version
        case .revoke, .expire, .grantWith, nil: return false
        }
    }

    private static let quickBytesMax = 256

    /// The record behind `prefixBytes` bytes of zero.
    package static func encode(
        _ command: LeaseCommand, at time: LeaseTime = .zero, prefixBytes: Int = 0
    ) -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: prefixBytes + 64)
        for _ in 0..<prefixBytes { writer.write(UInt8(0)) }
        writer.write(version)
        func begin(_ tag: Tag) {
            writer.write(tag.rawValue)
            writer.write(time.rawValue)
        }
        func write(_ id: LeaseID) { writer.write(UInt64(bitPattern: id.rawValue)) }
        switch command {
        case .grant(let id, let ttl):
            begin(.grant)
            write(id)
            writer.writeVarint(UInt64(bitPattern: ttl))
        case .revoke(let id):
            begin(.revoke)
            write(id)
        case .renew(let ids):
            begin(.renew)
            writer.writeVarint(UInt64(ids.count))
            for id in ids { write(id) }
        case .expire(let ends, let term):
            begin(.expire)
            writer.write(term)
            writer.writeVarint(UInt64(ends.count))
            for end in ends {
                write(end.id)
                writer.write(end.deadline.rawValue)
            }
        case .tick: begin(.tick)
        case .grantWith(let id, let ttl, let transaction):
            begin(.grantWith)
            write(id)
            writer.writeVarint(UInt64(bitPattern: ttl))
            writer.writeLengthPrefixed(CommandCodec.encode(.transaction(transaction)))
        }
        return writer.finish()
    }

    /// What a record says, and the leader's clock in it. A record that ``encode(_:at:prefixBytes:)`` did not write, or
    /// not for this version, is an error that stops the member.
    package static func decode(
        _ bytes: UnsafeRawBufferPointer
    ) throws(StateError) -> (command: LeaseCommand, time: LeaseTime) {
        guard bytes.count >= headBytes else { throw .undecodableCommand("a lease record of \(bytes.count) bytes") }
        guard bytes[0] == version else { throw .unknownCommandVersion(bytes[0]) }
        guard let tag = Tag(rawValue: bytes[1]) else { throw .unknownCommand(tag: bytes[1]) }
        var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[stampOffset...]))
        do throws(DecodingError) {
            let time = LeaseTime(try reader.readUInt64())
            let command = try read(tag, &reader)
            try reader.expectEnd()
            return (command, time)
        } catch {
            throw .undecodableCommand("lease \(tag) record, byte \(reader.offset + stampOffset): \(error)")
        }
    }

    private static func read(_ tag: Tag, _ reader: inout ByteReader) throws(DecodingError) -> LeaseCommand {
        switch tag {
        case .grant: return .grant(try readID(&reader), ttl: try readTTL(&reader))
        case .grantWith:
            let id = try readID(&reader)
            let ttl = try readTTL(&reader)
            return .grantWith(id, ttl: ttl, try readTransaction(&reader))
        case .revoke: return .revoke(try readID(&reader))
        case .renew:
            var ids: [LeaseID] = []
            let count = try readCount(&reader)
            ids.reserveCapacity(count)
            for _ in 0..<count { ids.append(try readID(&reader)) }
            return .renew(ids)
        case .expire:
            let term = try reader.readUInt64()
            var ends: [LeaseEnd] = []
            for _ in 0..<(try readCount(&reader)) {
                let id = try readID(&reader)
                ends.append(LeaseEnd(id, deadline: LeaseTime(try reader.readUInt64())))
            }
            return .expire(ends, term: term)
        case .tick: return .tick
        }
    }

    private static func readTTL(_ reader: inout ByteReader) throws(DecodingError) -> Int64 {
        let ttl = Int64(bitPattern: try reader.readVarint())
        guard (1...Lease.ttlMax).contains(ttl) else { throw .invalid("a TTL of \(ttl)") }
        return ttl
    }

    private static func readTransaction(_ reader: inout ByteReader) throws(DecodingError) -> Transaction {
        let record = try reader.readLengthPrefixed()
        do throws(StateError) {
            guard case .transaction(let transaction) = try CommandCodec.decode(record) else {
                throw StateError.undecodableCommand("it is no transaction")
            }
            return transaction
        } catch {
            throw .invalid("the transaction of a grant: \(error)")
        }
    }

    private static func readCount(_ reader: inout ByteReader) throws(DecodingError) -> Int {
        let count = try reader.readVarint()
        guard count <= UInt64(leasesMax) else { throw .invalid("\(count) leases") }
        return Int(count)
    }

    /// Zero is asked for by renewals of clients that have no lease: it is never found.
    private static func readID(_ reader: inout ByteReader) throws(DecodingError) -> LeaseID {
        LeaseID(Int64(bitPattern: try reader.readUInt64()))
    }
}
