import Raft

/// Starts and stops members again and again, and looks whether anything of them stays.
enum Cycles {
    /// What may be there afterwards that was not before. Threads that end take a moment; the allocator keeps arenas.
    private static let threadsMax = 1
    private static let residentKilobytesMax = 24 << 10
    /// A leak would be at least one allocation a cycle.
    private static let allocationsPerCycleMax = 0.5

    static func run(_ cycles: Int, directory: String) async throws {
        let warmUp = max(100, cycles / 10)
        for number in 0..<warmUp { try await one(number, directory: directory) }
        let before = try await settled(nil)
        for number in 0..<cycles { try await one(number, directory: directory) }
        let after = try await settled(before)

        let grown = after.liveAllocations - before.liveAllocations
        print("\(cycles) cycles of starting, using and stopping members, after \(warmUp) of warming up")
        print("")
        print("| held by the process |     before |      after |")
        print("|---------------------|-----------:|-----------:|")
        line("threads", before.threads, after.threads)
        line("file descriptors", before.descriptors, after.descriptors)
        line("live allocations", before.liveAllocations, after.liveAllocations)
        line("bytes in use", before.bytesInUse, after.bytesInUse)
        line("resident size, KiB", before.residentKilobytes, after.residentKilobytes)
        var problems: [String] = []
        if after.threads > before.threads + threadsMax { problems.append("threads stay behind") }
        if after.descriptors > before.descriptors { problems.append("file descriptors stay behind") }
        if Double(grown) > Double(cycles) * allocationsPerCycleMax {
            problems.append("\(grown) allocations stay behind")
        }
        if after.residentKilobytes > before.residentKilobytes + residentKilobytesMax {
            problems.append("the resident size has grown by \(after.residentKilobytes - before.residentKilobytes) KiB")
        }
        if !problems.isEmpty { throw Problem(problems.joined(separator: "; ")) }
    }

    private static func line(_ title: String, _ before: Int, _ after: Int) {
        func pad(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) }
        let cells = [before, after].map { pad("\($0)", 10) + "\($0)" }
        print("| \(title)\(pad(title, 19)) | \(cells.joined(separator: " | ")) |")
    }

    /// In turns: a member with its log on disk and a port, and three members in memory.
    private static func one(_ number: Int, directory: String) async throws {
        let isAlone = number % 4 != 0
        var shape = Shape(members: isAlone ? 1 : 3, log: .memory, wire: .inMemory, inFlight: 1)
        if isAlone, number % 2 == 1 {
            shape.log = .disk
            shape.wire = .tcp
        }
        var options = RaftOptions()
        // So that three members need not long to elect one of them, and so that snapshots are taken.
        options.heartbeatInterval = .milliseconds(5)
        options.electionTimeout = .milliseconds(50)
        options.snapshotEntries = 10
        let cluster = try await Cluster(shape, directory: directory, options: options)
        let events = cluster.leader.events
        for count in 0..<12 { try await propose([UInt8(count)], to: cluster.members) }
        _ = try await cluster.members[0].read { $0.commands }
        try await cluster.stop()
        for await _ in events {}
    }

    /// A leader may lose its lead on a busy machine, with so short a timeout.
    private static func propose(_ command: [UInt8], to members: [RaftMember<Tally>]) async throws {
        while true {
            do {
                try await members[0].propose(command)
                return
            } catch RaftError.noLeader {
            } catch RaftError.timedOut {}
        }
    }

    /// Threads that were told to end, end a moment later; a sleep that was cancelled keeps its timer until it is due,
    /// which is a second for members.
    private static func settled(_ goal: ProcessHold?) async throws -> ProcessHold {
        try await Task.sleep(for: .milliseconds(1_500))
        var hold = ProcessHold()
        for _ in 0..<100 {
            guard let goal, hold.threads > goal.threads || hold.descriptors > goal.descriptors else { break }
            try await Task.sleep(for: .milliseconds(50))
            hold = ProcessHold()
        }
        return hold
    }
}
