import Foundation
import Testing

@testable import RaftCore

/// Small clusters, explored: see `Documentation/decisions/0012-state-space.md`. In a normal run, the first states of
/// each model only, in seconds. For more, in a release build:
///
///     MARTLET_STATE_SPACE=2000000 swift test -c release -Xswiftc -enable-testing --filter StateSpaceTests
///
/// explores so many states of each, and prints what it finds; `MARTLET_STATE_SPACE_MODEL` chooses models by a part of
/// the name, `MARTLET_STATE_SPACE_WALKS` the number of walks.
@Suite(.serialized) struct StateSpaceTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let statesMax = environment["MARTLET_STATE_SPACE"].flatMap { Int($0) }
    private static let walks = environment["MARTLET_STATE_SPACE_WALKS"].flatMap { UInt64($0) } ?? 10

    private static func chosen(_ models: [Model]) -> [Model] {
        guard let part = environment["MARTLET_STATE_SPACE_MODEL"] else { return models }
        return models.filter { $0.name.contains(part) }
    }

    @Test(arguments: chosen(Model.sound))
    func `every state that can be reached is safe`(model: Model) {
        var model = model
        model.statesMax = Self.statesMax ?? 2_000
        let start = ContinuousClock.now
        let report = Exploration.run(model)
        if Self.statesMax != nil { Self.tell(model, report, ContinuousClock.now - start) }
        if let violation = report.violation {
            Issue.record(Comment(rawValue: violation + "\n    " + report.path.joined(separator: "\n    ")))
        }
        // An exploration that gets nowhere would find nothing.
        #expect(report.isComplete || report.states >= model.statesMax)
        #expect(report.memberStates > 30)
    }

    @Test(arguments: chosen(Model.large))
    func `long walks by chance stay safe`(model: Model) {
        let report = RandomWalk.run(model, seeds: 1...max(Self.walks, 1), length: Self.statesMax == nil ? 400 : 2_000)
        if Self.statesMax != nil {
            print(
                "walks: \(model.name): \(report.walks), \(report.steps) steps, terms to \(report.termMax), "
                    + "\(report.committedMax) entries committed")
        }
        if let violation = report.violation {
            Issue.record(
                Comment(
                    rawValue: "seed \(report.seed): \(violation)\n    " + report.path.joined(separator: "\n    ")))
        }
        #expect(report.termMax > 2)
        #expect(report.committedMax > 2)
    }

    /// Mistakes that show only after many states.
    private static let deep: [Model] = [.mistaken(.changesWithoutJoint)]

    /// What finds nothing in a sound world has to find something in an unsound one.
    @Test(arguments: Model.Mistake.allCases)
    func `a mistake in the world is found`(mistake: Model.Mistake) throws {
        var model = Model.mistaken(mistake)
        if Self.statesMax == nil, Self.deep.contains(where: { $0.name == model.name }) { return }
        model.statesMax = 5_000_000
        try Self.expectFound(model)
    }

    #if MARTLET_MUTATIONS
        @Test(arguments: Model.CoreFault.allCases)
        func `a mistake in the core is found`(fault: Model.CoreFault) throws {
            var model = Model.faulty(fault)
            if Self.statesMax == nil, fault == .asksForVotesBeforePersisting { return }
            model.statesMax = 5_000_000
            try Self.expectFound(model)
        }
    #endif

    private static func expectFound(_ model: Model) throws {
        let start = ContinuousClock.now
        let report = Exploration.run(model)
        if Self.statesMax != nil {
            tell(model, report, ContinuousClock.now - start)
            print("found: \(report.violation ?? "nothing"), after \(report.states) states, \(report.path.count) steps")
        }
        #expect(report.violation != nil, "\(model.name): nothing found in \(report.states) states")
        #expect(report.path.count == report.depth)
    }

    private static func tell(_ model: Model, _ report: Exploration.Report, _ time: Duration) {
        let seconds = Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
        print(
            "explored: \(model.name): \(report.states) states, \(report.transitions) steps, depth \(report.depth), "
                + (report.isComplete ? "complete" : "not complete")
                + ", \(report.memberStates) states of members, \(report.memberSteps) steps of theirs, "
                + "\(Int(seconds * 10)) tenths of a second")
    }
}
