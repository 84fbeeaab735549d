import Platform
public import Raft

/// What is played. The defaults are meant to be left alone: what they leave open is drawn anew for each seed.
public struct SimulationOptions: Sendable {
    /// 1 to 9 of them.
    public var members = 3
    /// How long things go wrong, in virtual time; ten minutes at most. Then the cluster must come together.
    public var duration = Duration.seconds(20)
    /// What may go wrong; each seed leaves some of it out.
    public var faults = Set(SimulatedFault.allCases)
    /// The time from one fault to the next, at most.
    public var faultInterval = Duration.seconds(2)
    /// Clients, each of which proposes one command after the other, or reads; 100 at most.
    public var clients = 4
    /// How long a client waits before it asks again, at most.
    public var pause = Duration.milliseconds(100)
    /// How the members behave. nil: drawn, with snapshots and logs so short that a play sees many. The real time that
    /// an option of yours names is virtual time here.
    public var raft: RaftOptions?
    /// How many times a play that fails is played again to find out which of its faults matter; 0: it is left as it is.
    public var shorteningPlays = 100

    public init() {}

    /// What is wrong with them, if anything is.
    var inconsistency: String? {
        if !(1...9).contains(members) { return "members is \(members)" }
        if duration < .zero || duration > .seconds(600) { return "duration is \(duration)" }
        if faultInterval < .milliseconds(1) { return "faultInterval is \(faultInterval)" }
        if !(1...100).contains(clients) { return "clients is \(clients)" }
        if pause < .milliseconds(1) { return "pause is \(pause)" }
        if shorteningPlays < 0 { return "shorteningPlays is \(shorteningPlays)" }
        return raft?.inconsistency
    }
}

/// Kinds of what goes wrong.
public enum SimulatedFault: String, CaseIterable, Sendable {
    /// A process dies (kill -9) and is started again; what it wrote is still there.
    case kill
    /// A machine loses its power, and what was not synchronized: wholly, partly, or not.
    case powerCut
    /// The same in the midst of some call to the disk.
    case powerCutWhileWriting
    /// The same for all machines at once.
    case powerCutOfAll
    /// Leaders die soon after their election, several in a row.
    case killOfNewLeader
    /// A process is stopped for a while, and goes on as if nothing had been.
    case pause
    /// The members are split in two, which cannot reach each other.
    case partition
    /// A member hears nobody, or is heard by nobody.
    case oneWayPartition
    /// Messages are lost, delayed, repeated and reordered; transfers of snapshots break off.
    case badNetwork
    /// A disk takes up to some tenths of a second.
    case slowDisk
    /// A call to a disk fails, or it is full: the member stops, and is started again.
    case failingDisk
    /// A leader is asked to hand over. No fault, but a good moment for one.
    case transfer
}

/// The source of all chance: the same seed, the same numbers, on every machine.
public struct SimulationRandom: RandomNumberGenerator, Sendable {
    private var source: RandomSource

    public init(seed: UInt64) { source = RandomSource(seed: seed) }
    init(_ source: RandomSource) { self.source = source }

    public mutating func next() -> UInt64 { source.next() }
}

extension Duration {
    /// In range: options are looked at before they are used.
    var simulatedNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    }
}
