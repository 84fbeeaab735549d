import MVCC
import RaftCore
import Synchronization
import Testing

@testable import Replica

/// A clock that stands until it is moved.
final class ManualClock: Sendable {
    private let nanoseconds = Mutex<UInt64>(5_000_000_000)

    var now: UInt64 { nanoseconds.withLock { $0 } }
    func advance(milliseconds: UInt64) { nanoseconds.withLock { $0 += milliseconds * 1_000_000 } }
}

@Suite struct LeaseClockTests {
    private let manual = ManualClock()
    private let clock = LeaseClock()

    init() { clock.begin(now: { [manual] in manual.now }, time: LeaseTime(7_000), in: Term(3)) }

    /// What a leader of that term writes into a command.
    private func stamp(_ term: UInt64) throws -> LeaseTime {
        var command = [CommandRoom.lease.rawValue] + LeaseCommandCodec.encode(.tick, at: LeaseTime(99))
        command.withUnsafeMutableBytes { clock.stamp($0, leading: Term(term)) }
        return try command.withUnsafeBytes {
            try LeaseCommandCodec.decode(UnsafeRawBufferPointer(rebasing: $0[1...])).time
        }
    }

    @Test func `a leader that has not applied its first entry does not know the clock, whatever stood in the command`()
        throws
    {
        manual.advance(milliseconds: 4_000)
        #expect(try stamp(4) == .zero)
        #expect(clock.time(leading: Term(4)) == nil)
    }

    @Test func `the clock goes on from the last stamp, and the time without a leader is not in it`() throws {
        manual.advance(milliseconds: 60_000)
        clock.applied(LeaseTime(9_000), in: Term(4))
        #expect(try stamp(4) == LeaseTime(9_000))
        manual.advance(milliseconds: 250)
        #expect(try stamp(4) == LeaseTime(9_250))
        // Its own stamps, applied later, change nothing.
        clock.applied(LeaseTime(9_250), in: Term(4))
        manual.advance(milliseconds: 750)
        #expect(try stamp(4) == LeaseTime(10_000))
        #expect(try stamp(5) == .zero)
    }

    @Test func `who follows estimates from what it applies, and is never ahead of it for long`() {
        clock.applied(LeaseTime(9_000), in: Term(4))
        manual.advance(milliseconds: 1_000)
        #expect(clock.estimate == LeaseTime(10_000))
        // It heard late, or its clock is slow.
        clock.applied(LeaseTime(10_400), in: Term(4))
        #expect(clock.estimate == LeaseTime(10_400))
        clock.applied(LeaseTime(10_100), in: Term(4))
        #expect(clock.estimate == LeaseTime(10_400))
        clock.applied(LeaseTime(10_400), in: Term(5))
        #expect(clock.estimate == LeaseTime(10_400))
        manual.advance(milliseconds: 5)
        clock.applied(LeaseTime(10_400), in: Term(6))
        #expect(clock.estimate == LeaseTime(10_400))
    }

    @Test func `a command that is too short for a stamp is left alone`() {
        var command: [UInt8] = [CommandRoom.lease.rawValue, 1, 5]
        command.withUnsafeMutableBytes { clock.stamp($0, leading: Term(3)) }
        #expect(command == [CommandRoom.lease.rawValue, 1, 5])
    }
}
