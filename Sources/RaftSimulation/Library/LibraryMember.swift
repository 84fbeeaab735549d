import PlatformSimulation
import Raft
import RaftCore

/// One member: its disk, which outlives its processes, and the process that runs now, if one does.
final class LibraryMember<Machine: StateMachine> {
    typealias Node = RaftNode<LibraryMachine<WatchedMachine<Machine>>>

    let id: NodeID
    let disk: SimulatedDisk
    let driftMillionths: Int64
    var process: Process?
    /// Counts processes, and ends of processes: what was meant for one must not meet the next.
    var incarnation: UInt64 = 0
    var logPace: SimulatedWorld.Pace
    /// A fault was injected: that the member stops by itself is what should happen.
    private(set) var mayFail = false
    private var failedCallsBefore = 0

    struct Process {
        var node: Node
        var world: SimulatedWorld
        var files: ProcessFiles
    }

    init(id: NodeID, disk: SimulatedDisk, driftMillionths: Int64, logPace: SimulatedWorld.Pace) {
        self.id = id
        self.disk = disk
        self.driftMillionths = driftMillionths
        self.logPace = logPace
    }

    var node: Node? { process?.node }

    func inject(_ plan: FaultPlan) {
        failedCallsBefore = disk.failedCalls
        mayFail = true
        disk.inject(plan)
    }

    /// The machine is off, and on again; its disk is as good as new.
    func repair(losingPower: Bool) {
        // Where the power was to go anyway, it goes now.
        if losingPower || mayFail { disk.crash() } else { disk.endProcess() }
        disk.inject(FaultPlan())
        mayFail = false
    }

    /// That it stops is its disk's doing.
    var hasReasonToFail: Bool { mayFail && disk.failedCalls > failedCallsBefore }
}
