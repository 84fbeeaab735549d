import ByteCodec
import StorageEngine
import Testing

@testable import MVCC

@Suite struct RunningHashTests {
    private func hash(after commands: [Command]) throws -> UInt32 {
        var member = try Member()
        for command in commands { _ = try member.apply(command) }
        return member.state.runningHash.value
    }

    @Test func `whoever applied the same has the same, wherever it was flushed, compacted and opened again`() throws {
        var (one, other) = (try Member(), try Member())
        for number in 0..<40 {
            let command = number % 7 == 6
                ? Command.delete(DeleteOperation(KeyRange(key: Array("k3".utf8))))
                : put("k\(number % 5)", "\(number)")
            _ = try one.apply(command)
            _ = try other.applyEncoded(command, wantsAnswer: false)
            if number == 20 {
                _ = try one.apply(.compact(Compaction(revision: Revision(10))))
                _ = try other.apply(.compact(Compaction(revision: Revision(10))))
                try other.compactAll()
            }
            if number % 9 == 0 {
                try other.flushAll()
                other = try other.reopened()
            }
            #expect(one.state.runningHash == other.state.runningHash)
            #expect(try one.state.view.runningHash == one.state.runningHash)
        }
        #expect(one.state.runningHash.value != 0 && one.state.runningHash.since == 0)
    }

    @Test func `whoever once applied something else never has the same again`() throws {
        var (one, other) = (try Member(), try Member())
        _ = try one.apply(put("a", "1"))
        _ = try other.apply(put("a", "2"))
        for number in 0..<100 {
            #expect(one.state.runningHash != other.state.runningHash)
            _ = try one.apply(put("a", "\(number)"))
            _ = try other.apply(put("a", "\(number)"))
        }
        #expect(try one.state.view.range(query("a")) == other.state.view.range(query("a")))
        #expect(one.state.runningHash != other.state.runningHash)
    }

    @Test func `every kind of change counts, and what changes nothing does not`() throws {
        var member = try Member()
        var seen: Set<UInt32> = [member.state.runningHash.value]
        func changed(_ sees: Bool = true) { #expect(seen.insert(member.state.runningHash.value).inserted == sees) }
        _ = try member.apply(put("a"))
        changed()
        _ = try member.apply(put("a"))
        changed()
        _ = try member.apply(.delete(DeleteOperation(KeyRange(key: Array("a".utf8)))))
        changed()
        _ = try member.apply(.delete(DeleteOperation(KeyRange(key: Array("a".utf8)))))
        changed(false)
        _ = try member.apply(.grant(LeaseID(7), ttl: 5), at: 10)
        changed()
        _ = try member.apply(.renew([LeaseID(7)]), at: 20)
        changed()
        _ = try member.apply(.renew([LeaseID(7)]), at: 20)
        changed(false)
        _ = try member.apply(.renew([LeaseID(8)]), at: 30)
        changed(false)
        _ = try member.apply(.revoke(LeaseID(7)), at: 30)
        changed()
        _ = try member.apply(.activate(Alarm(.noSpace, member: 3)))
        changed()
        _ = try member.apply(.deactivate(Alarm(.noSpace, member: 3)))
        changed()
        _ = try member.apply(.compact(Compaction(revision: Revision(3))))
        changed()
        _ = try member.apply(.compact(Compaction(revision: Revision(99))))
        changed(false)
        member.state.noteMembership(mark: 5)
        changed()
    }

    @Test func `a state from before there were running hashes begins its own where it stands`() throws {
        var member = try Member()
        _ = try member.apply(put("a"))
        try member.flushAll()
        let today = try #require(member.state.storeForTest.value(.meta, StateRow.rowKey))
        #expect(today.count == 69 && today[0] == 3)
        var row: [UInt8] = [2] + today[1..<49]
        let sum = row.withUnsafeBytes { CRC32C.checksum($0) }
        withUnsafeBytes(of: sum.littleEndian) { row += $0 }
        try member.engine.commit([.put(.meta, key: StateRow.rowKey, value: row)])
        var old = try member.reopened()
        #expect(old.state.runningHash == RunningHash(value: 0, since: 1))
        _ = try old.apply(put("b"))
        try old.flushAll()
        let again = try old.reopened().state.runningHash
        #expect(again == old.state.runningHash && again.since == 1 && again.value != 0)
    }
}
