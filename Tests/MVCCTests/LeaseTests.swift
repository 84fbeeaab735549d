import ByteCodec
import StorageEngine
import Testing

@testable import MVCC

/// Leases, rule by rule; random ones are in `ModelTests`.
@Suite struct LeaseTests {
    private var member: Member

    init() throws { member = try Member() }

    private func leased(_ key: String, _ lease: Int64, ignoreLease: Bool = false) -> Command {
        .put(PutOperation(key: bytes(key), value: bytes("v"), lease: LeaseID(lease), ignoreLease: ignoreLease))
    }

    private func keys(_ lease: Int64) throws -> [String] {
        try member.state.view.keys(of: LeaseID(lease)).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test mutating func `L1: an id is granted once, and again when it is free`() throws {
        let granted = Lease(id: LeaseID(7), ttl: 5, deadline: LeaseTime(6_000))
        #expect(try member.apply(.grant(LeaseID(7), ttl: 5), at: 1_000).result == .granted(granted))
        #expect(try member.apply(.grant(LeaseID(7), ttl: 9), at: 2_000).result == .failed(.leaseExists))
        #expect(member.state.lease(LeaseID(7)) == granted)
        _ = try member.apply(.revoke(LeaseID(7)), at: 2_500)
        guard case .granted(let again) = try member.apply(.grant(LeaseID(7), ttl: 9), at: 3_000).result else {
            Issue.record("not granted")
            return
        }
        #expect(again.deadline == LeaseTime(12_000))
    }

    @Test mutating func `L5: a revocation deletes the lease's keys in their order, at one revision`() throws {
        _ = try member.apply(.grant(LeaseID(7), ttl: 5), at: 0)
        _ = try member.apply(.grant(LeaseID(8), ttl: 5), at: 0)
        for key in ["c", "a", "b", "a\0"] { _ = try member.apply(leased(key, 7)) }
        _ = try member.apply(leased("other", 8))
        member.state.recordsChanges = true
        let outcome = try member.apply(.revoke(LeaseID(7)), at: 0)
        #expect(outcome == LeaseOutcome(.revoked, revision: Revision(7)))
        let changes = member.state.takeChanges()
        #expect(changes.map(\.kind) == [.delete, .delete, .delete, .delete])
        #expect(changes.map { String(decoding: $0.keyValue.key, as: UTF8.self) } == ["a", "a\0", "b", "c"])
        #expect(changes.map(\.id) == (0..<4).map { ChangeID(revision: Revision(7), number: $0) })
        #expect(try member.state.view.range(query("\0", to: "\0")).keys == ["other"])
        #expect(try member.apply(.revoke(LeaseID(7)), at: 0).result == .failed(.leaseNotFound))
        try member.state.check()
    }

    @Test mutating func `a lease without keys ends without a revision`() throws {
        _ = try member.apply(.grant(LeaseID(7), ttl: 5), at: 0)
        #expect(try member.apply(.revoke(LeaseID(7)), at: 0) == LeaseOutcome(.revoked, revision: Revision(1)))
        #expect(member.state.leaseCount == 0)
        #expect(member.rows(.leases) == 0)
    }

    @Test mutating func `L7: a key holds one lease, which a put without one takes and ignore_lease keeps`() throws {
        _ = try member.apply(.grant(LeaseID(7), ttl: 5), at: 0)
        _ = try member.apply(.grant(LeaseID(8), ttl: 5), at: 0)
        _ = try member.apply(leased("k", 7))
        #expect(try keys(7) == ["k"])
        _ = try member.apply(leased("k", 8))
        #expect(try keys(7) == [] && keys(8) == ["k"])
        _ = try member.apply(leased("k", 0, ignoreLease: true))
        #expect(try keys(8) == ["k"])
        _ = try member.apply(put("k"))
        #expect(try keys(8) == [])
        _ = try member.apply(leased("k", 8))
        _ = try member.apply(delete("k"))
        #expect(try keys(8) == [])
        _ = try member.apply(.revoke(LeaseID(8)), at: 0)
        #expect(try member.apply(leased("k", 8)).error == .leaseNotFound)
    }

    @Test mutating func `leases expire at a revision each, those that still have their deadline`() throws {
        for id in [5, 6, 7] as [Int64] {
            _ = try member.apply(.grant(LeaseID(id), ttl: 5), at: 0)
            _ = try member.apply(leased("k\(id)", id))
        }
        _ = try member.apply(.renew([LeaseID(6)]), at: 1_000)
        let ends = [7, 6, 5].map { LeaseEnd(LeaseID($0), deadline: LeaseTime(5_000)) }
        #expect(try member.apply(.expire(ends, term: 2), at: 6_000).revision == Revision(4))
        #expect(member.state.leaseCount == 3)
        member.state.recordsChanges = true
        #expect(
            try member.apply(.expire(ends, term: 1), at: 6_000) == LeaseOutcome(.expired(ends), revision: Revision(6)))
        #expect(member.state.takeChanges().map(\.id.revision) == [Revision(5), Revision(6)])
        #expect(try member.state.view.range(query("\0", to: "\0")).keys == ["k6"])
    }

    @Test mutating func `a renewal lasts from the clock, which never goes back, and shortens nothing`() throws {
        _ = try member.apply(.grant(LeaseID(7), ttl: 5), at: 10_000)
        #expect(try member.apply(.renew([LeaseID(7), LeaseID(1)]), at: 0).result == .renewed([5, 0]))
        #expect(member.state.lease(LeaseID(7))?.deadline == LeaseTime(15_000))
        #expect(member.state.leaseClock == LeaseTime(10_000))
        _ = try member.apply(.renew([LeaseID(7)]), at: 12_000)
        #expect(member.state.lease(LeaseID(7))?.deadline == LeaseTime(17_000))
        _ = try member.apply(.tick, at: 13_000)
        #expect(try member.state.view.leaseClock == LeaseTime(13_000))
        try member.flushAll()
        #expect(try member.reopened().state.leaseClock == LeaseTime(13_000))
    }

    @Test mutating func `no clock and no TTL makes a member overflow`() throws {
        _ = try member.apply(.grant(LeaseID(7), ttl: Lease.ttlMax), at: .max)
        _ = try member.apply(.renew([LeaseID(7)]), at: .max)
        #expect(member.state.lease(LeaseID(7))?.deadline == LeaseTime(.max))
        try member.flushAll()
        #expect(try member.reopened().state.lease(LeaseID(7)) == member.state.lease(LeaseID(7)))
    }

    @Test mutating func `a range is deleted with what is attached, whether or not its pairs are answered`() throws {
        _ = try member.apply(.grant(LeaseID(7), ttl: 5), at: 0)
        for key in ["a", "b", "c"] { _ = try member.apply(leased(key, 7)) }
        _ = try member.apply(delete("a", to: "b"))
        #expect(try keys(7) == ["b", "c"])
        _ = try member.apply(delete("b", to: "c", prevKV: true))
        #expect(try keys(7) == ["c"])
        try member.state.check()
    }

    @Test mutating func `no flipped bit in a row of the leases is overlooked when a state is checked`() throws {
        _ = try member.apply(.grant(LeaseID(7), ttl: 5), at: 77)
        _ = try member.apply(.grant(LeaseID(-3), ttl: 900), at: 99)
        for key in ["a", "b"] { _ = try member.apply(leased(key, 7)) }
        try member.flushAll()
        try member.reopened().state.check()
        var rows: [(key: [UInt8], value: [UInt8])] = []
        let cursor = try member.engine.snapshot().makeCursor(.leases)
        var more = cursor.first()
        while more {
            rows.append((Array(cursor.key), Array(cursor.value)))
            more = cursor.next()
        }
        #expect(rows.count == 4)
        for row in rows {
            for bit in 0..<(row.key.count + row.value.count) * 8 {
                var (key, value) = row
                let flip = UInt8(1) << UInt8(bit % 8)
                if bit / 8 < key.count { key[bit / 8] ^= flip } else { value[bit / 8 - key.count] ^= flip }
                let engine = MemoryEngine(image: member.engine.image)
                try engine.commit([.delete(.leases, key: row.key), .put(.leases, key: key, value: value)])
                #expect(throws: StateError.self, "row \(row) bit \(bit)") {
                    try State(store: LayeredStore(engine: engine)).check()
                }
            }
            let engine = MemoryEngine(image: member.engine.image)
            try engine.commit([.delete(.leases, key: row.key)])
            // A lease without keys leaves nothing behind that would tell of it.
            if row.key[0] == 1 || row.key[1] == 0x80 {
                #expect(throws: StateError.self) { try State(store: LayeredStore(engine: engine)).check() }
            }
        }
    }

    @Test mutating func `an attachment that its key does not confirm stops the member`() throws {
        _ = try member.apply(.grant(LeaseID(7), ttl: 5), at: 0)
        _ = try member.apply(leased("a", 7))
        _ = try member.apply(put("b"))
        try member.flushAll()
        let row = LeaseRow.withAttachmentKey(LeaseID(7), UnsafeRawBufferPointer(start: nil, count: 0)) { Array($0) }
        try member.engine.commit([.put(.leases, key: row + bytes("b"), value: [])])
        member = try member.reopened()
        #expect(throws: StateError.self) { try member.apply(.revoke(LeaseID(7)), at: 0) }
    }

    // MARK: With a transaction

    private func grantWith(_ id: Int64, if created: Int64, _ puts: String...) -> LeaseCommand {
        .grantWith(
            LeaseID(id), ttl: 5,
            Transaction(
                comparisons: [Comparison(KeyRange(key: bytes("a")), .equal, .createRevision(created))],
                success: puts.map { .put(PutOperation(key: bytes($0), value: bytes("v"), lease: LeaseID(id))) },
                failure: [.range(RangeQuery(KeyRange(key: bytes("a"))))]))
    }

    @Test mutating func `a grant with a transaction is both at once, at one revision`() throws {
        let outcome = try member.apply(grantWith(7, if: 0, "a", "b"), at: 1_000)
        guard case .grantedWith(let lease, let answer) = outcome.result else {
            Issue.record("\(outcome)")
            return
        }
        #expect(lease == Lease(id: LeaseID(7), ttl: 5, deadline: LeaseTime(6_000)))
        #expect(answer.succeeded && answer.revision == Revision(2) && outcome.revision == Revision(2))
        #expect(try keys(7) == ["a", "b"])
        try member.state.check()
        try member.flushAll()
        #expect(try member.reopened().state.lease(LeaseID(7)) == lease)
    }

    @Test(arguments: [true, false])
    mutating func `what is refused leaves no lease`(isCommitted: Bool) throws {
        _ = try member.apply(put("a"))
        if isCommitted { try member.flushAll() }
        // A comparison that does not hold.
        let outcome = try member.apply(grantWith(7, if: 0, "a"), at: 0)
        guard case .grantedWith(nil, let answer) = outcome.result else {
            Issue.record("\(outcome)")
            return
        }
        #expect(!answer.succeeded && answer.answers.count == 1)
        // A transaction that is refused, and one that attaches nothing.
        let unknown = Transaction(success: [.put(PutOperation(key: bytes("b"), value: [], lease: LeaseID(9)))])
        #expect(try member.apply(.grantWith(LeaseID(7), ttl: 5, unknown), at: 0).result == .failed(.leaseNotFound))
        _ = try member.apply(grantWith(7, if: 2), at: 0)
        #expect(member.state.leaseCount == 0 && member.state.revision == Revision(2))
        #expect(member.rows(.leases) == 0)
        try member.state.check()
        try member.flushAll()
        #expect(try member.reopened().state.leaseCount == 0)
        _ = try member.apply(grantWith(7, if: 2, "a"), at: 0)
        #expect(try keys(7) == ["a"])
        #expect(try member.apply(grantWith(7, if: 2, "b"), at: 0).result == .failed(.leaseExists))
        #expect(try keys(7) == ["a"])
    }

    @Test mutating func `without room nothing is granted with anything`() throws {
        _ = try member.apply(.activate(Alarm(.noSpace, member: 1)))
        #expect(try member.apply(grantWith(7, if: 0, "a"), at: 0).result == .failed(.noSpace))
        #expect(member.state.leaseCount == 0)
    }

    // MARK: The records

    @Test func `the bytes of a record stay as they are documented`() {
        func encoded(_ command: LeaseCommand) -> [UInt8] { LeaseCommandCodec.encode(command, at: LeaseTime(0x0201)) }
        let clock: [UInt8] = [1, 2, 0, 0, 0, 0, 0, 0]
        let seven: [UInt8] = [7, 0, 0, 0, 0, 0, 0, 0]
        #expect(encoded(.grant(LeaseID(7), ttl: 300)) == [1, 1] + clock + seven + [0xac, 2])
        #expect(encoded(.revoke(LeaseID(7))) == [1, 2] + clock + seven)
        #expect(encoded(.renew([LeaseID(7), LeaseID(7)])) == [1, 3] + clock + [2] + seven + seven)
        let ends = [LeaseEnd(LeaseID(7), deadline: LeaseTime(9))]
        #expect(
            encoded(.expire(ends, term: 7))
                == [1, 4] + clock + seven + [1] + seven + [9, 0, 0, 0, 0, 0, 0, 0])
        #expect(encoded(.tick) == [1, 5] + clock)
        let empty = CommandCodec.encode(.transaction(Transaction()))
        #expect(
            encoded(.grantWith(LeaseID(7), ttl: 300, Transaction()))
                == [1, 6] + clock + seven + [0xac, 2, UInt8(empty.count)] + empty)
    }

    @Test func `a record comes back as it was, and no other bytes are one`() throws {
        var source = CommandSource(seed: 5)
        let ends = (1...3).map { LeaseEnd(LeaseID($0), deadline: LeaseTime(UInt64($0))) }
        for _ in 0..<500 {
            let command = source.leaseCommand(leases: ends, term: 3)
            let record = LeaseCommandCodec.encode(command, at: LeaseTime(77))
            let decoded = try record.withUnsafeBytes { try LeaseCommandCodec.decode($0) }
            #expect(decoded.command == command && decoded.time == LeaseTime(77))
            for count in 0..<record.count {
                #expect(throws: StateError.self) {
                    try Array(record[..<count]).withUnsafeBytes { try LeaseCommandCodec.decode($0) }
                }
            }
            #expect(throws: StateError.self) {
                try (record + [0]).withUnsafeBytes { try LeaseCommandCodec.decode($0) }
            }
        }
    }

    @Test(arguments: [
        [1, 9, 0, 0, 0, 0, 0, 0, 0, 0], [2, 5, 0, 0, 0, 0, 0, 0, 0, 0],
        // TTLs of zero and below, and a number of leases that no record holds.
        [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        [1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 127],
        // With a command that is no transaction.
        [1, 6, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 5]
            + [UInt8(CommandCodec.encode(put("a")).count)] + CommandCodec.encode(put("a")),
    ] as [[UInt8]])
    func `what no member writes is refused`(record: [UInt8]) {
        #expect(throws: StateError.self) { try record.withUnsafeBytes { try LeaseCommandCodec.decode($0) } }
    }
}

/// States that were written before there were leases.
@Suite struct FormatWithoutLeasesTests {
    @Test func `a state's row of the format before leases is read, and written in today's`() throws {
        var member = try Member()
        _ = try member.apply(put("a"))
        try member.flushAll()
        let today = try #require(member.state.storeForTest.value(.meta, StateRow.rowKey))
        var row: [UInt8] = [1] + today[1..<41]
        let sum = row.withUnsafeBytes { CRC32C.checksum($0) }
        withUnsafeBytes(of: sum.littleEndian) { row += $0 }
        try member.engine.commit([.put(.meta, key: StateRow.rowKey, value: row)])
        var old = try member.reopened()
        #expect(old.state.revision == Revision(2) && old.state.leaseClock == .zero)
        try old.state.check()
        _ = try old.apply(.tick, at: 5)
        try old.flushAll()
        #expect(try old.reopened().state.leaseClock == LeaseTime(5))
    }
}
