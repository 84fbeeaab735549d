import Foundation
import RaftSimulation

// Plays seeds, one after another, and says what they came to. Exit code 1 if any seed failed.

func usage() -> Never {
    print(
        """
        usage: martlet-simulate [--seed N] [--seeds M] [--seconds S] [--verbose] [--mutation NAME]

          --seed N        the first seed (default 1)
          --seeds M       how many seeds to play (default 100)
          --seconds S     virtual seconds in which things go wrong (default 20)
          --verbose       a line for each seed
          --mutation NAME plays with a mistake built in (only in builds made with MARTLET_MUTATIONS=1)
        """)
    exit(2)
}

var seed: UInt64 = 1
var seeds: UInt64 = 100
var isVerbose = false
var options = Simulation.Options()
var arguments = CommandLine.arguments.dropFirst()
while let argument = arguments.popFirst() {
    func number() -> UInt64 {
        guard let text = arguments.popFirst(), let number = UInt64(text) else { usage() }
        return number
    }
    switch argument {
    case "--seed": seed = number()
    case "--seeds": seeds = number()
    case "--seconds": options.safetyNanoseconds = number() * 1_000_000_000
    case "--verbose": isVerbose = true
    case "--mutation":
        guard let name = arguments.popFirst() else { usage() }
        #if MARTLET_MUTATIONS
            guard SeededMistake.names.contains(name) else {
                print("unknown mutation \(name); there are: \(SeededMistake.names.joined(separator: ", "))")
                exit(2)
            }
            options.mutation = name
        #else
            print("--mutation \(name): this build has no mistakes built in; build with MARTLET_MUTATIONS=1")
            exit(2)
        #endif
    default: usage()
    }
}

let clock = ContinuousClock()
let start = clock.now
var failures: [UInt64] = []
var steps = 0
var virtualSeconds = 0.0
var operations = 0
var acknowledged = 0
var elections = 0
var undecided = 0
for current in seed..<(seed + seeds) {
    let report = Simulation.run(seed: current, options: options)
    steps += report.steps
    virtualSeconds += Double(report.virtualNanoseconds) / 1e9
    operations += report.operations
    acknowledged += report.acknowledged
    elections += report.elections
    if report.violation == nil, !report.isOrderFound { undecided += 1 }
    if let violation = report.violation {
        failures.append(current)
        print("seed \(current) FAILED \(violation)")
        print("  play it again: scripts/simulate --seed \(current) --seeds 1")
    } else if isVerbose {
        print(
            "seed \(current) ok: \(report.operations) operations, \(report.acknowledged) acknowledged, "
                + "\(report.elections) elections, \(report.misfortunes) misfortunes, \(report.messages) messages, "
                + "digest \(String(report.digest, radix: 16))")
    }
}
let took = clock.now - start
let seconds = Double(took.components.seconds) + Double(took.components.attoseconds) / 1e18
print(
    "\(seeds) seeds in \(Int(seconds.rounded())) s: \(steps) steps (\(Int(Double(steps) / seconds))/s), "
        + "\(Int(virtualSeconds)) virtual seconds (\(Int(virtualSeconds / seconds))/s), \(operations) operations, "
        + "\(acknowledged) acknowledged, \(elections) elections; \(undecided) histories too tangled for the "
        + "search for an "
        + "order, checked by their revisions alone")
print("\(Int(seeds) - failures.count) passed, \(failures.count) failed")
exit(failures.isEmpty ? 0 : 1)
