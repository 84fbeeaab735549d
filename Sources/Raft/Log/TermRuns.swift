import RaftCore

/// The terms of a stretch of the log, kept as runs of equal ones: there are as many as there were leaders.
struct TermRuns {
    private var runs: [LogPlace]
    private(set) var last: LogPlace

    init(base: LogPlace) {
        runs = [base]
        last = base
    }

    mutating func append(_ place: LogPlace) {
        precondition(place.index == last.index.next, "place \(place.index.rawValue) after \(last.index.rawValue)")
        if place.term != last.term { runs.append(place) }
        last = place
    }

    /// Forgets `index` and what follows it.
    mutating func truncate(from index: LogIndex) {
        guard index <= last.index else { return }
        while runs.count > 1, let newest = runs.last, newest.index >= index { runs.removeLast() }
        last = LogPlace(index: index.previous, term: runs[runs.count - 1].term)
    }

    func term(at index: LogIndex) -> Term? {
        guard index <= last.index else { return nil }
        return runs.last { $0.index <= index }?.term
    }

    /// Forgets what lies before `base`.
    mutating func cut(base: LogPlace) {
        runs.removeAll { $0.index <= base.index }
        runs.insert(base, at: 0)
        if last.index < base.index { last = base }
    }
}
