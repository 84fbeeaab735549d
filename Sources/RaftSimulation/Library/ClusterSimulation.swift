public import Raft

/// Whole clusters of your `StateMachine`, in a world made up from a seed: virtual time, and a network and disks that
/// fail.
///
///     let report = ClusterSimulation.run(seeds: 1...1000, machine: { Counter() }, command: { random in
///         Array("\(Int.random(in: 1...9, using: &random))".utf8)
///     })
///     if let failure = report.failure { print(failure) }
///
/// Each member runs what `RaftMember` runs, log and snapshot files included. A seed gives the same play every time, and
/// 20 seconds of it take some tenths of one: what a cluster meets in years is met in minutes, and what goes wrong
/// there can be played again, in a debugger if need be.
///
/// Without a word from you it is checked that every term has one leader; that all members apply the same commands at
/// the same places, and give the same answers (where they are `Equatable`); that no acknowledged command is lost, none
/// is applied twice, and each comes after all that were acknowledged before it was proposed; that reads are not stale;
/// that members which have applied the same hold the same; and that soon after the last fault the cluster answers and
/// all members agree.
public enum ClusterSimulation {
    /// Plays one seed.
    ///
    /// - Parameters:
    ///   - seed: what everything that happens follows from.
    ///   - configure: changes the options.
    ///   - machine: a machine in its first state. Called for each start of a member, and must give its own each time.
    ///   - command: something that a client proposes. What varies in it must come from the generator that it is given.
    ///   - check: looks at the whole history, when all is over and everything else was found to be right, and throws
    ///     where something is wrong.
    public static func run<Machine: StateMachine>(
        seed: UInt64, _ configure: (inout SimulationOptions) -> Void = { _ in },
        machine: @escaping () -> Machine,
        command: @escaping (inout SimulationRandom) -> [UInt8],
        check: @escaping (ClusterHistory<Machine>) throws -> Void = { _ in }
    ) -> SimulationReport {
        var options = SimulationOptions()
        configure(&options)
        return ClusterPlay.run(
            seed: seed, options: options, user: .init(machine: machine, command: command, check: check))
    }

    /// Plays seeds one after the other, up to the first that fails.
    public static func run<Machine: StateMachine>(
        seeds: ClosedRange<UInt64>, _ configure: (inout SimulationOptions) -> Void = { _ in },
        machine: @escaping () -> Machine,
        command: @escaping (inout SimulationRandom) -> [UInt8],
        check: @escaping (ClusterHistory<Machine>) throws -> Void = { _ in }
    ) -> SimulationSummary {
        var options = SimulationOptions()
        configure(&options)
        var summary = SimulationSummary()
        for seed in seeds {
            let report = ClusterPlay.run(
                seed: seed, options: options, user: .init(machine: machine, command: command, check: check))
            summary.add(report)
            if report.failure != nil { break }
        }
        return summary
    }
}
