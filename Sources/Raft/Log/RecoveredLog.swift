import RaftCore
import WriteAheadLog

/// What a log holds, as read at start: the newest hard state, and the entries after its first place.
struct RecoveredLog {
    private(set) var hardState = HardState()
    /// The place before the first entry; nil in a log that has never held anything.
    private(set) var base: LogPlace?
    private(set) var summaries: [EntrySummary] = []
    private(set) var locations: [RecordLocation] = []
    /// The entries after ``retainAfter``, whole.
    private(set) var entries: [Entry] = []
    private let retainAfter: LogIndex
    /// The log's first segments were removed: the term before the first entry is not known, until the cut's record
    /// names a later place.
    private(set) var isBaseTermUnknown = false

    /// - Parameter retainAfter: the state's applied index: later entries will be applied again, and are kept whole.
    init(retainAfter: LogIndex) { self.retainAfter = retainAfter }

    var lastIndex: LogIndex { (base?.index ?? .zero).advanced(by: summaries.count) }

    func term(at index: LogIndex) -> Term? {
        guard let base, index >= base.index else { return nil }
        if index == base.index { return base.term }
        let place = Int(index.rawValue - base.index.rawValue) - 1
        return place < summaries.count ? summaries[place].term : nil
    }

    mutating func replay(_ record: LogRecord, at location: RecordLocation) throws(NodeFailure) {
        switch record {
        case .hardState(let state):
            guard state.term >= hardState.term else {
                throw Self.contradiction("the term goes back from \(hardState.term.rawValue) to \(state.term.rawValue)")
            }
            hardState = state
        case .base(let place): restart(after: place)
        case .cut(let place): try cut(upTo: place)
        case .entry(let entry): try replay(entry, at: location)
        }
    }

    private mutating func replay(_ entry: Entry, at location: RecordLocation) throws(NodeFailure) {
        // The oldest segment that is left starts in the middle of the story. What it rewrites lay before it.
        if entry.index > .zero, base == nil || (isBaseTermUnknown && entry.index <= base!.index) {
            restart(after: LogPlace(index: entry.index.previous, term: .zero))
            isBaseTermUnknown = true
        }
        guard let base, entry.index > base.index, entry.index <= lastIndex.next else {
            throw Self.contradiction("entry \(entry.index.rawValue) does not follow \(lastIndex.rawValue)")
        }
        let place = Int(entry.index.rawValue - base.index.rawValue) - 1
        if place < summaries.count {
            summaries.removeSubrange(place...)
            locations.removeSubrange(place...)
            while let last = entries.last, last.index >= entry.index { entries.removeLast() }
        }
        summaries.append(
            EntrySummary(
                term: entry.term, payloadBytes: entry.payload.count, isConfiguration: entry.kind == .configuration))
        locations.append(location)
        if entry.index > retainAfter { entries.append(entry) }
    }

    private mutating func cut(upTo place: LogPlace) throws(NodeFailure) {
        if isBaseTermUnknown, let base, place.index == base.index {
            self.base = place
            isBaseTermUnknown = false
            return
        }
        guard let base, place.index > base.index else { return }
        guard term(at: place.index) == place.term else {
            throw Self.contradiction("the log was cut at \(place.index.rawValue), which it does not hold")
        }
        let count = Int(place.index.rawValue - base.index.rawValue)
        summaries.removeFirst(count)
        locations.removeFirst(count)
        entries.removeAll { $0.index <= place.index }
        self.base = place
        isBaseTermUnknown = false
    }

    /// The log starts anew after `place`: a snapshot was installed there.
    mutating func restart(after place: LogPlace) {
        base = place
        summaries = []
        locations = []
        entries = []
        isBaseTermUnknown = false
        if hardState.term < place.term { hardState = HardState(term: place.term) }
    }

    /// Brings log and state together (decision 3). The state is never ahead of what the log held, unless it was just
    /// born; the log is never cut beyond the state. A log that was cut beyond a newborn state belongs to a state that
    /// was older already: to let it begin anew would be to forget what this member has acknowledged.
    /// - Returns: whether the log has to be told that it starts anew.
    mutating func reconcile(applied: AppliedPlace, origin: AppliedPlace) throws(NodeFailure) -> Bool {
        let isNewborn = applied == origin && (base.map { $0.index <= applied.index } ?? true)
        if !isBaseTermUnknown, term(at: applied.index) == applied.term { return false }
        guard isNewborn else {
            let held = base.map { "\($0.index.rawValue + 1) to \(lastIndex.rawValue)" } ?? "nothing"
            throw NodeFailure(
                part: .log,
                reason: "the state stands at entry \(applied.index.rawValue) of term \(applied.term.rawValue), but the "
                    + "log holds \(held): a part of this member's data is missing or belongs to another time. Remove "
                    + "the member and add it again with an empty directory")
        }
        restart(after: LogPlace(index: applied.index, term: applied.term))
        return true
    }

    private static func contradiction(_ reason: String) -> NodeFailure { NodeFailure(part: .log, reason: reason) }
}
