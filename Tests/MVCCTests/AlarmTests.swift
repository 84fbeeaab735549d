import StorageEngine
import TestSupport
import Testing

@testable import MVCC

/// Alarms, rule by rule (M2, M3, M5).
@Suite struct AlarmTests {
    private var member: Member

    init() throws { member = try Member() }

    private static let space = Alarm(.noSpace, member: 7)
    private static let corrupt = Alarm(.corrupt, member: 8)

    private func transaction(_ success: [MVCC.Operation], _ failure: [MVCC.Operation] = []) -> Command {
        .transaction(Transaction(success: success, failure: failure))
    }

    private func write(_ key: String) -> MVCC.Operation { .put(PutOperation(key: bytes(key), value: bytes("v"))) }

    @Test mutating func `what is raised is listed by kind and member, and each is disarmed by itself`() throws {
        let alarms = [Alarm(.corrupt, member: 3), Alarm(.noSpace, member: 0), Alarm(.noSpace, member: UInt64.max)]
        for alarm in alarms { #expect(try member.apply(.activate(alarm)).result == .raised) }
        #expect(try member.apply(.activate(alarms[1])).result == .wasRaised)
        #expect(member.state.alarms.all == [alarms[1], alarms[2], alarms[0]])
        #expect(try member.apply(.deactivate(Alarm(.noSpace, member: 3))).result == .wasNotRaised)
        #expect(try member.apply(.deactivate(Alarm(.corrupt, member: 0))).result == .wasNotRaised)
        #expect(member.state.alarms.all.count == 3)
        #expect(try member.apply(.deactivate(alarms[1])).result == .disarmed)
        #expect(try member.apply(.deactivate(alarms[1])).result == .wasNotRaised)
        #expect(member.state.alarms.all == [alarms[2], alarms[0]])
        #expect(member.state.revision == Revision(1))
    }

    @Test(arguments: [true, false])
    mutating func `M2: without space nothing is put, and everything else goes on`(isEncoded: Bool) throws {
        func apply(_ command: Command) throws -> Outcome {
            isEncoded ? try member.applyEncoded(command) : try member.apply(command)
        }
        _ = try apply(put("a"))
        _ = try apply(put("b"))
        _ = try member.apply(.grant(LeaseID(1), ttl: 10), at: 0)
        _ = try member.apply(.activate(Self.space))
        let refused = [
            put("a"), .put(PutOperation(key: bytes("a"), value: [], lease: LeaseID(99))), transaction([write("c")]),
            // In the branch that is not taken, too.
            transaction([], [write("c")]),
            transaction([
                .delete(DeleteOperation(KeyRange(key: bytes("a")))), .transaction(Transaction(success: [write("c")])),
            ]),
        ]
        for command in refused { #expect(try apply(command).error == .noSpace) }
        #expect(try member.apply(.grant(LeaseID(2), ttl: 10), at: 0).result == .failed(.noSpace))
        #expect(member.state.revision == Revision(3))
        #expect(try member.state.view.range(query("\0", to: "\0")).keys == ["a", "b"])
        #expect(try apply(transaction([.delete(DeleteOperation(KeyRange(key: bytes("a"))))])).error == nil)
        #expect(try apply(delete("b")).deletion?.deleted == 1)
        #expect(try apply(.compact(Compaction(revision: Revision(5)))).result == .compacted)
        #expect(try member.apply(.renew([LeaseID(1)]), at: 500).result == .renewed([10]))
        #expect(try member.apply(.revoke(LeaseID(1)), at: 500).result == .revoked)
        // Another member's is still up after the first one's end.
        _ = try member.apply(.activate(Alarm(.noSpace, member: 9)))
        _ = try member.apply(.deactivate(Self.space))
        #expect(try apply(put("a")).error == .noSpace)
        _ = try member.apply(.deactivate(Alarm(.noSpace, member: 9)))
        #expect(try apply(put("a")).put != nil)
    }

    @Test(arguments: [true, false])
    mutating func `M5: a corrupt cluster writes nothing, and says so first`(isEncoded: Bool) throws {
        func apply(_ command: Command) throws -> Outcome {
            isEncoded ? try member.applyEncoded(command) : try member.apply(command)
        }
        _ = try member.apply(.grant(LeaseID(1), ttl: 10), at: 0)
        _ = try apply(.put(PutOperation(key: bytes("a"), value: bytes("v"), lease: LeaseID(1))))
        _ = try member.apply(.activate(Self.space))
        _ = try member.apply(.activate(Self.corrupt))
        let commands = [
            put("a"), delete("a"), transaction([.delete(DeleteOperation(KeyRange(key: bytes("a"))))]),
            .compact(Compaction(revision: Revision(2))), .compact(Compaction(revision: Revision(200))),
        ]
        for command in commands { #expect(try apply(command).error == .corruptCluster) }
        #expect(try member.apply(.grant(LeaseID(2), ttl: 10), at: 0).result == .failed(.corruptCluster))
        #expect(try member.apply(.revoke(LeaseID(1)), at: 0).result == .failed(.corruptCluster))
        #expect(try member.apply(.revoke(LeaseID(9)), at: 0).result == .failed(.corruptCluster))
        let end = LeaseEnd(LeaseID(1), deadline: LeaseTime(10_000))
        #expect(try member.apply(.expire([end], term: 1), at: 20_000).result == .expired([end]))
        #expect(member.state.lease(LeaseID(1)) != nil)
        #expect(try member.state.view.range(query("\0", to: "\0")).keys == ["a"])
        #expect(try member.apply(.renew([LeaseID(1)]), at: 500).result == .renewed([10]))
        // What is left is NOSPACE: etcd 3.5.1 forgets it here.
        _ = try member.apply(.deactivate(Self.corrupt))
        #expect(try apply(put("a")).error == .noSpace)
        #expect(try apply(delete("a")).deletion?.deleted == 1)
        try member.state.check()
    }

    @Test mutating func `alarms are flushed with the entries, and survive`() throws {
        for alarm in [Self.corrupt, Self.space] { _ = try member.apply(.activate(alarm)) }
        #expect(try member.reopened().state.alarms.all == [])
        try member.flushAll()
        var again = try member.reopened()
        #expect(again.state.alarms.all == [Self.space, Self.corrupt])
        #expect(again.state.applied == member.state.applied)
        #expect(try again.apply(put("a")).error == .corruptCluster)
        for alarm in [Self.corrupt, Self.space] { _ = try again.apply(.deactivate(alarm)) }
        try again.flushAll()
        let last = try again.reopened()
        #expect(last.state.alarms.all == [])
        // None leaves no row.
        #expect(last.rows(.meta) == 1)
    }

    @Test mutating func `there are no more than so many`() throws {
        for id in 0..<UInt64(AlarmDirectory.alarmsMax) {
            #expect(try member.apply(.activate(Alarm(.noSpace, member: id))).result == .raised)
        }
        #expect(try member.apply(.activate(Alarm(.corrupt, member: 0))).result == .tooMany)
        #expect(!member.state.alarms.isCorrupt)
        #expect(try member.apply(.activate(Alarm(.noSpace, member: 5))).result == .wasRaised)
        try member.flushAll()
        #expect(try member.reopened().state.alarms == member.state.alarms)
    }

    @Test mutating func `a damaged row of alarms is refused`() throws {
        _ = try member.apply(.activate(Self.space))
        try member.flushAll()
        let row = member.state.alarms.encode()
        for place in row.indices {
            var changed = row
            changed[place] ^= 0x80
            let name = AlarmDirectory.rowName
            for stored in [name.rowValue(row).enumerated().map { $0.offset == place + 4 ? $0.element ^ 1 : $0.element }]
            {
                let engine = MemoryEngine(image: member.engine.image)
                try engine.commit([.put(.meta, key: name.rowKey, value: stored)])
                #expect(throws: StateError.self) { try Member(engine: engine) }
            }
        }
        for wrong in [[], [2, 1], [1, 3, 0, 0, 0, 0, 0, 0, 0, 0], row + [0]] as [[UInt8]] {
            #expect(throws: StateError.self) { try AlarmDirectory(decoding: wrong) }
        }
        let twice: [UInt8] = [2] + row.dropFirst() + row.dropFirst()
        #expect(throws: StateError.self) { try AlarmDirectory(decoding: twice) }
    }

    // MARK: Records

    @Test func `a record has its bytes, and is read back`() throws {
        let command = AlarmCommand.activate(Alarm(.corrupt, member: 0x0102))
        #expect(AlarmCommandCodec.encode(command) == [1, 1, 2, 2, 1, 0, 0, 0, 0, 0, 0])
        #expect(AlarmCommandCodec.encode(command, prefixBytes: 3) == [0, 0, 0, 1, 1, 2, 2, 1, 0, 0, 0, 0, 0, 0])
        for kind in AlarmKind.allCases {
            for member in [0, 1, UInt64.max] {
                for command in [
                    AlarmCommand.activate(Alarm(kind, member: member)), .deactivate(Alarm(kind, member: member)),
                ] {
                    let record = AlarmCommandCodec.encode(command)
                    #expect(try record.withUnsafeBytes { try AlarmCommandCodec.decode($0) } == command)
                }
            }
        }
    }

    @Test func `records that are none are refused, and stop the state`() throws {
        let record = AlarmCommandCodec.encode(.activate(Self.space))
        var wrong = (0..<record.count).map { Array(record[..<$0]) } + [record + [0]]
        for (place, byte) in [(0, UInt8(2)), (1, 0), (1, 3), (2, 0), (2, 3)] {
            var changed = record
            changed[place] = byte
            wrong.append(changed)
        }
        for bytes in wrong {
            var member = try Member()
            #expect(throws: StateError.self) {
                try bytes.withUnsafeBytes { record in
                    try member.state.apply(alarmRecord: record, at: LogPosition(index: 1, term: 1))
                }
            }
            #expect(throws: StateError.self) { try member.state.view }
        }
    }

    // MARK: Growth

    @Test mutating func `what was written is counted, whatever has become of it since`() throws {
        #expect(member.state.writtenBytes == 0)
        _ = try member.apply(.put(PutOperation(key: bytes("k"), value: [UInt8](repeating: 1, count: 10_000))))
        let one = member.state.writtenBytes
        #expect((10_000...10_200).contains(one))
        _ = try member.apply(.activate(Self.space))
        _ = try member.apply(put("k"))
        #expect(member.state.writtenBytes == one)
        _ = try member.apply(delete("k"))
        #expect((1...200).contains(member.state.writtenBytes - one))
    }
}
