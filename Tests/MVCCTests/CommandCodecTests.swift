import TestSupport
import Testing

@testable import MVCC

@Suite struct CommandCodecTests {
    @Test func `what is encoded is decoded`() throws {
        var source = CommandSource(seed: 1)
        source.revision = 1 << 40
        for _ in 0..<8_000 {
            let command = source.command()
            let record = CommandCodec.encode(command)
            #expect(try CommandCodec.decode(record) == command)
        }
    }

    @Test func `a command has one record`() throws {
        var source = CommandSource(seed: 2)
        for _ in 0..<5000 {
            let record = CommandCodec.encode(source.command())
            #expect(CommandCodec.encode(try CommandCodec.decode(record)) == record)
        }
    }

    @Test(arguments: [0, 1, 17]) func `the room at the front is zero, and the record follows`(room: Int) throws {
        var source = CommandSource(seed: 3)
        for _ in 0..<500 {
            let command = source.command()
            let record = CommandCodec.encode(command)
            #expect(CommandCodec.encode(command, prefixBytes: room) == [UInt8](repeating: 0, count: room) + record)
        }
    }

    @Test func `a put's short cut writes what the long way writes`() {
        var source = CommandSource(seed: 4)
        for _ in 0..<5000 {
            let put = source.put()
            var flags: CommandCodec.PutFlags = []
            if put.prevKV { flags.insert(.prevKV) }
            if put.ignoreValue { flags.insert(.ignoreValue) }
            if put.ignoreLease { flags.insert(.ignoreLease) }
            let short = put.key.withUnsafeBytes { key in
                put.value.withUnsafeBytes { value in
                    CommandCodec.encodePut(key: key, value: value, lease: put.lease, flags: flags, prefixBytes: 5)
                }
            }
            #expect(short == CommandCodec.encode(.put(put), prefixBytes: 5))
        }
    }

    @Test func `cut, changed and invented records are refused or are some command's`() {
        var source = CommandSource(seed: 5)
        var refused = 0
        func check(_ record: [UInt8]) {
            do throws(StateError) {
                // One command has one record: what is understood is written so.
                let command = try CommandCodec.decode(record)
                #expect(try! CommandCodec.decode(CommandCodec.encode(command)) == command)
            } catch {
                refused += 1
            }
        }
        for _ in 0..<1500 {
            let record = CommandCodec.encode(source.command())
            for end in 0..<min(record.count, 40) { check(Array(record[..<end])) }
            for _ in 0..<10 {
                var changed = record
                for _ in 0...source.random.int(0...2) {
                    changed[source.random.int(0...changed.count - 1)] = UInt8(source.random.int(0...255))
                }
                check(changed)
                changed.append(UInt8(source.random.int(0...255)))
                check(changed)
            }
            var noise = [1, UInt8(source.random.int(1...4))]
            noise += (0..<source.random.int(0...60)).map { _ in UInt8(source.random.int(0...255)) }
            check(noise)
        }
        #expect(refused > 40_000)
    }

    @Test func `no part of a record can be left out`() throws {
        var source = CommandSource(seed: 6)
        for _ in 0..<500 {
            let record = CommandCodec.encode(source.command())
            for end in record.indices {
                #expect(throws: StateError.self) { try CommandCodec.decode(Array(record[..<end])) }
            }
            #expect(throws: StateError.self) { try CommandCodec.decode(record + [0]) }
        }
    }

    @Test func `a later version and a newer member's command are named`() {
        #expect(throws: StateError.unknownCommandVersion(2)) { try CommandCodec.decode([2, 1, 0]) }
        #expect(throws: StateError.unknownCommand(tag: 99)) { try CommandCodec.decode([1, 99, 0]) }
    }

    @Test func `a count that the record cannot hold is refused before memory is taken`() {
        #expect(throws: StateError.self) {
            try CommandCodec.decode([1, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])
        }
    }

    @Test func `the bytes of a record stay as they are documented`() {
        #expect(
            CommandCodec.encode(.put(PutOperation(key: [107], value: [118, 119], lease: LeaseID(300), prevKV: true)))
                == [1, 1, 9, 0xac, 2, 1, 107, 2, 118, 119])
        #expect(
            CommandCodec.encode(.delete(DeleteOperation(KeyRange(key: [97], rangeEnd: [98])))) == [
                1, 2, 0, 1, 1, 97, 1, 98,
            ])
        #expect(CommandCodec.encode(.compact(Compaction(revision: Revision(7), physical: true))) == [1, 4, 1, 7])
        var query = RangeQuery(KeyRange(key: [97], end: .fromKey))
        query.limit = 5
        query.maxModRevision = Revision(9)
        query.sortOrder = .descending
        query.sortTarget = .modRevision
        query.keysOnly = true
        let transaction = Transaction(
            comparisons: [Comparison(KeyRange(key: [107]), .notEqual, .value([1]))], success: [.range(query)],
            failure: [.empty, .delete(DeleteOperation(KeyRange(key: [120]), prevKV: true))])
        #expect(
            CommandCodec.encode(.transaction(transaction)) == [
                1, 3,  // version, transaction
                1, 3, 3, 1, 1, 0, 1, 107,  // one comparison: not equal, value [1], of the key k
                1, 4, 1, 2, 3, 0b1001, 5, 9, 2, 1, 97,  // then: one range
                2, 0, 2, 1, 0, 1, 120,  // else: an empty operation and a delete
            ])
    }
}
