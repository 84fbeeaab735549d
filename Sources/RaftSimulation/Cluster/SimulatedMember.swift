package import PlatformSimulation
package import Raft
package import RaftCore
import Replica

/// One member: its disks, which outlive its processes, and the process that runs now, if one does.
package final class SimulatedMember {
    package let id: NodeID
    package let disk: SimulatedDisk
    let engines = SimulatedEngines()
    package internal(set) var node: RaftNode<ObservedMachine>?
    /// The running process's.
    var watchFeed: WatchFeed?
    /// What the lease clock shows there.
    var leaseClock: LeaseClock?
    var world: SimulatedWorld?
    /// Counts processes, and ends of processes: what was meant for one must not meet the next.
    var incarnation: UInt64 = 0
    /// A fault was injected: that the member stops by itself is what should happen.
    package var mayFail = false
    /// How many calls of its disk had failed when the fault was injected.
    var failedCallsBefore = 0
    /// What was damaged on its disks while it was down. It must refuse to start.
    package var damage: String?
    /// It has refused to start on its damaged disks. They, and with them the member, are gone for good.
    package internal(set) var isLost = false
    /// Part of a configuration in force, now or before. (One that was made in order to be added need not be.)
    package internal(set) var hasJoined: Bool
    var logPace: SimulatedWorld.Pace
    var driftMillionths: Int64 = 0

    init(id: NodeID, disk: SimulatedDisk, hasJoined: Bool, logPace: SimulatedWorld.Pace) {
        self.id = id
        self.disk = disk
        self.hasJoined = hasJoined
        self.logPace = logPace
    }

    package var isRunning: Bool { node != nil }

    func inject(_ plan: FaultPlan) {
        failedCallsBefore = disk.failedCalls
        mayFail = true
        disk.inject(plan)
    }

    /// That it stops is its disk's doing.
    var hasReasonToFail: Bool { mayFail && disk.failedCalls > failedCallsBefore }
}
