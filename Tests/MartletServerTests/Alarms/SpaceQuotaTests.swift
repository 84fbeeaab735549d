import MVCC
import Replica
import Testing

@testable import MartletServer

@Suite struct SpaceQuotaTests {
    private func measure(_ quota: SpaceQuota, _ bytes: Int, admitted: Int) {
        quota.measured(engineBytes: bytes, growth: GrowthMeter.Reading(), admittedBytes: admitted)
    }

    @Test func `without a limit there is always room`() {
        let quota = SpaceQuota(bytesMax: nil)
        measure(quota, .max, admitted: 0)
        #expect(quota.admits(.max))
    }

    @Test func `what is let in counts until it is measured`() {
        let quota = SpaceQuota(bytesMax: 1_000)
        measure(quota, 400, admitted: quota.admittedBytes)
        #expect(quota.admits(300))
        // The limit itself is too much (M1).
        #expect(!quota.admits(300))
        #expect(quota.admits(299))
        #expect(!quota.admits(1))
        let before = quota.admittedBytes
        #expect(before == 599)
        // Half of it turned out to be nothing.
        measure(quota, 700, admitted: before)
        #expect(quota.admits(299))
        #expect(!quota.admits(1))
    }

    @Test func `what was let in during a measurement is not lost`() {
        let quota = SpaceQuota(bytesMax: 1_000)
        measure(quota, 0, admitted: 0)
        let before = quota.admittedBytes
        #expect(quota.admits(500))
        measure(quota, 100, admitted: before)
        #expect(!quota.admits(400))
        #expect(quota.admits(399))
    }

    @Test func `what was freed is room again`() {
        let quota = SpaceQuota(bytesMax: 1_000)
        measure(quota, 5_000, admitted: 0)
        #expect(!quota.admits(0))
        measure(quota, 10, admitted: 0)
        #expect(quota.admits(900))
    }

    @Test func `what waits counts, and a batch on its way does not count twice`() {
        let quota = SpaceQuota(bytesMax: 1_000)
        var growth = GrowthMeter.Reading(waitingBytes: 600)
        quota.measured(engineBytes: 300, growth: growth, admittedBytes: 0)
        #expect(!quota.isFull && quota.admits(99) && !quota.admits(1))
        // The batch of 600 is in the engine already, or not yet: it is 900 either way.
        growth = GrowthMeter.Reading(waitingBytes: 0, isFlushing: true, serial: 1)
        for engine in [300, 900] {
            quota.measured(engineBytes: engine, growth: growth, admittedBytes: quota.admittedBytes)
            #expect(quota.admits(99) && !quota.isFull)
        }
        growth.waitingBytes = 100
        quota.measured(engineBytes: 900, growth: growth, admittedBytes: quota.admittedBytes)
        #expect(quota.isFull)
        // Compaction has made room by the time the flush ends.
        growth = GrowthMeter.Reading(waitingBytes: 100, isFlushing: false, serial: 2)
        quota.measured(engineBytes: 200, growth: growth, admittedBytes: quota.admittedBytes)
        #expect(!quota.isFull && quota.admits(699))
    }

    @Test func `a transaction counts by its greater branch`() {
        func put(_ bytes: Int) -> MVCC.Operation {
            .put(PutOperation(key: [1], value: [UInt8](repeating: 0, count: bytes)))
        }
        let nested = Transaction(success: [put(1)], failure: [put(2), put(3)])
        let transaction = Transaction(success: [put(10), .transaction(nested)], failure: [put(700)])
        #expect(SpaceQuota.growth(of: transaction) == 957)
        #expect(SpaceQuota.growth(of: Transaction(success: [.transaction(nested), put(700)])) == 957 + 519)
        #expect(SpaceQuota.growth(of: Transaction()) == 0)
    }

    @Test func `one alarm is asked for at a time`() {
        let quota = SpaceQuota(bytesMax: 1)
        #expect(quota.beginRaising() && !quota.beginRaising())
        quota.endRaising()
        #expect(quota.beginRaising())
    }
}
