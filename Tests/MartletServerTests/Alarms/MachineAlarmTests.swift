import MVCC
import PeerTransport
import Raft
import RaftCore
import Replica
import Synchronization
import Testing

@testable import MartletServer

/// Alarms in the state machine of a member: applied, written, restarted, and on their way to another member.
@Suite struct MachineAlarmTests {
    private static let space = Alarm(.noSpace, member: 7)
    private static let corrupt = Alarm(.corrupt, member: 0)

    private func apply(_ command: AlarmCommand, to fixture: MachineFixture) throws -> AlarmOutcome.Result? {
        let result = try fixture.apply(.alarm, AlarmCommandCodec.encode(command))
        if case .alarm(let outcome) = result { return outcome.result }
        return nil
    }

    private func put(_ key: String, to fixture: MachineFixture) throws -> RequestError? {
        let command = Command.put(PutOperation(key: Array(key.utf8), value: [1]))
        guard case .keyValue(let outcome) = try fixture.apply(.keyValue, CommandCodec.encode(command)) else {
            return nil
        }
        if case .failed(let error) = outcome.result { return error }
        return nil
    }

    @Test func `who looks at the member sees its alarms, and is told of changes only`() throws {
        let fixture = try MachineFixture(members: 1)
        let told = Mutex<[AlarmOutcome]>([])
        fixture.machine.alarmChanged = { outcome in told.withLock { $0.append(outcome) } }
        #expect(try apply(.activate(Self.corrupt), to: fixture) == .raised)
        #expect(try apply(.activate(Self.space), to: fixture) == .raised)
        #expect(try apply(.activate(Self.space), to: fixture) == .wasRaised)
        #expect(try fixture.view.alarms == [Self.space, Self.corrupt])
        #expect(try apply(.deactivate(Self.corrupt), to: fixture) == .disarmed)
        #expect(try apply(.deactivate(Self.corrupt), to: fixture) == .wasNotRaised)
        #expect(told.withLock { $0.map(\.result) } == [.raised, .raised, .disarmed])
        #expect(told.withLock { $0.map(\.alarm) } == [Self.corrupt, Self.space, Self.corrupt])
        #expect(try put("k", to: fixture) == .noSpace)
    }

    @Test func `alarms survive a restart`() throws {
        let fixture = try MachineFixture(members: 3)
        _ = try apply(.activate(Self.space), to: fixture)
        try fixture.reopen()
        #expect(try fixture.view.alarms == [Self.space])
        #expect(try put("k", to: fixture) == .noSpace)
        _ = try apply(.deactivate(Self.space), to: fixture)
        try fixture.reopen()
        #expect(try fixture.view.alarms == [])
        #expect(try put("k", to: fixture) == nil)
    }

    @Test func `alarms go with a snapshot, and one without them takes them away`() throws {
        let source = try MachineFixture(members: 1)
        let target = try MachineFixture(members: 1)
        func send() throws {
            let machine = source.machine
            let chunks = try machine.makeSnapshotSource()
            let receiver = StateSnapshotReceiver(engines: target.directory.engines)
            let sink = try receiver.begin(
                SnapshotDescription(
                    index: machine.applied.index, term: machine.applied.term, configuration: machine.configuration))
            while let chunk = try chunks.nextChunk() { try sink.write(chunk) }
            try target.machine.install(try sink.finish())
        }
        _ = try apply(.activate(Self.corrupt), to: source)
        try send()
        #expect(try target.view.alarms == [Self.corrupt])
        _ = try apply(.deactivate(Self.corrupt), to: source)
        try send()
        #expect(try target.view.alarms == [])
    }

    @Test func `a record that is none is not taken into the log`() {
        let record = AlarmCommandCodec.encode(.activate(Self.space))
        func isAccepted(_ record: [UInt8]) -> Bool {
            ([CommandRoom.alarm.rawValue] + record).withUnsafeBytes { KeyValueMachine.accepts($0) }
        }
        #expect(isAccepted(record))
        for place in 0..<3 {
            var changed = record
            changed[place] = 0xff
            #expect(!isAccepted(changed))
        }
        #expect(!isAccepted(record.dropLast()) && !isAccepted([]))
    }

    @Test func `what waits for the engine is told, and nothing twice`() throws {
        let fixture = try MachineFixture(members: 1)
        let growth = fixture.machine.growth
        func publish() throws { fixture.machine.didPublish(try fixture.view) }
        func put(_ bytes: Int) throws {
            let command = Command.put(PutOperation(key: [1], value: [UInt8](repeating: 0, count: bytes)))
            try fixture.apply(.keyValue, CommandCodec.encode(command))
        }
        try put(10_000)
        #expect(growth.reading.waitingBytes == 0)
        try publish()
        #expect((10_000...10_300).contains(growth.reading.waitingBytes))
        let before = growth.reading.serial
        let job = try #require(try fixture.machine.beginFlush())
        #expect(growth.reading.isFlushing && growth.reading.waitingBytes == 0 && growth.reading.serial != before)
        try put(3_000)
        try publish()
        try job.run()
        #expect(growth.reading.isFlushing && (3_000...3_300).contains(growth.reading.waitingBytes))
        try fixture.machine.endFlush()
        #expect(!growth.reading.isFlushing && (3_000...3_300).contains(growth.reading.waitingBytes))
    }

    @Test func `the status has etcd's texts`() {
        #expect(MaintenanceService.text(of: Self.space) == "memberID:7 alarm:NOSPACE ")
        #expect(MaintenanceService.text(of: Self.corrupt) == "alarm:CORRUPT ")
    }
}
