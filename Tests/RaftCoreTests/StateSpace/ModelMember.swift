@testable import RaftCore

/// A member with its core, its disk and its state machine: what the rest of the cluster does not see.
struct ModelMember {
    struct Disk {
        var hardState: HardState
        /// The whole log, with what was cut off at its beginning.
        var log: LogForest.Node
        /// The log's entries start after this index.
        var base: UInt64
    }

    struct PendingWrite {
        var id: WriteID
        var write: Write
        /// What a snapshot that is being written stands for.
        var snapshot: LogForest.Node?
    }

    var core: RaftCore
    var disk: Disk
    var writes: [PendingWrite] = []
    /// Reported durable, and not on the disk (``Model/Mistake/diskLies``).
    var unsynced: [PendingWrite] = []
    /// What was applied.
    var machine: LogForest.Node
    /// Given out for applying.
    var released: UInt64
    /// Members that a snapshot was sent to, and nothing reported of it yet.
    var reports: [NodeID] = []

    /// Everything that tells it from other members' states.
    var canonicalBytes: [UInt8] {
        var canonical = CanonicalBytes()
        canonical.add(core)
        canonical.walk(disk)
        canonical.add(UInt64(writes.count))
        for pending in writes {
            canonical.walk(pending.write)
            canonical.add(UInt64(pending.snapshot ?? 0))
        }
        canonical.add(UInt64(unsynced.count))
        for pending in unsynced {
            canonical.walk(pending.write)
            canonical.add(UInt64(pending.snapshot ?? 0))
        }
        canonical.add(UInt64(machine))
        canonical.add(released)
        canonical.walk(reports)
        return canonical.bytes
    }

    /// Time and chance are made the same everywhere: timeouts are steps.
    mutating func normalize() {
        core.overrideElectionTimeout(ticks: .max)
        core.random = SplitMix64(seed: 0)
        core.now = 0
        core.leaderHeardAt = nil
        // Compared with `electionTicks` only, and where quorums are not checked with nothing that may happen here.
        core.electionElapsed = core.options.checkQuorum ? min(core.electionElapsed, core.options.electionTicks) : 0
    }
}

extension ModelMember.Disk {
    mutating func store(_ pending: ModelMember.PendingWrite, _ forest: inout LogForest) {
        if let snapshot = pending.write.snapshot {
            log = pending.snapshot!
            base = snapshot.index.rawValue
        }
        if let first = pending.write.entries.first {
            log = forest.prefix(of: log, length: first.index.rawValue - 1)
            for entry in pending.write.entries { log = forest.append(entry, to: log) }
        }
        if let new = pending.write.hardState { hardState = new }
    }
}

/// A message under way. A snapshot's state travels beside its description.
struct ModelMessage: Hashable {
    var message: Message
    var snapshot: LogForest.Node?
}

/// What a step of one member leads to.
struct ModelOutcome {
    var member: UInt32
    var sent: [UInt32] = []
    var reads: [(id: UInt64, index: UInt64)] = []
    var violation: String?
    var hasBecomeLeader = false
}

/// What the checks of the whole cluster look at.
struct ModelFacts {
    var term: UInt64
    var role: RoleName
    var log: LogForest.Node
    var committed: LogForest.Node
    var machine: LogForest.Node
    var durableLog: LogForest.Node
    var durableTerm: UInt64
    var durableVote: UInt64
    var base: UInt64
    var released: UInt64
    var pendingWrites: Int
    var reports: [NodeID]
    var configuration: Configuration
}
