/// Makes a failing seed's schedule shorter: leaves misfortunes out for as long as some violation remains (Zeller's
/// delta debugging). What is left is what matters; each of them is needed, if the patience lasted.
package enum Shortening {
    package struct Outcome: Sendable {
        package var report: Simulation.Report
        package var plays: Int
    }

    package static func shorten(
        _ failed: Simulation.Report, options: Simulation.Options, playsMax: Int = 200
    ) -> Outcome {
        var best = failed
        let (_, plays) = shorten(failed.schedule, playsMax: playsMax) { schedule in
            var options = options
            options.schedule = schedule
            let report = Simulation.run(seed: failed.seed, options: options)
            if report.violation != nil { best = report }
            return report.violation != nil
        }
        return Outcome(report: best, plays: plays)
    }

    /// Leaves out as much of `schedule` as it can so that it still `fails`: first halves, then ever smaller parts.
    package static func shorten<Step>(
        _ schedule: [Step], playsMax: Int, fails: ([Step]) -> Bool
    ) -> (schedule: [Step], plays: Int) {
        var best = schedule
        var plays = 0
        var size = max(1, best.count / 2)
        while !best.isEmpty {
            var start = 0
            var hasShrunk = false
            while start < best.count {
                guard plays < playsMax else { return (best, plays) }
                plays += 1
                var candidate = best
                candidate.removeSubrange(start..<min(start + size, candidate.count))
                if fails(candidate) {
                    best = candidate
                    hasShrunk = true
                } else {
                    start += size
                }
            }
            if size > 1 { size /= 2 } else if !hasShrunk { break }
        }
        return (best, plays)
    }
}
