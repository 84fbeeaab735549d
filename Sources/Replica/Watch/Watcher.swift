package import MVCC

/// What a client asks to watch.
package struct WatchRequest: Hashable, Sendable {
    package var range: KeyRange
    /// Zero: from now on.
    package var start = Revision(0)
    /// Zero: any that is free.
    package var id: Int64 = 0
    package var ignoresPuts = false
    package var ignoresDeletes = false
    package var wantsPrevious = false
    package var allowsFragments = false
    package var wantsProgress = false

    package init(_ range: KeyRange) { self.range = range }
}

/// One watcher of one stream.
final class Watcher {
    /// Where it is in its life.
    enum Place {
        /// Gets events from the cohort's position on, or from its own `next` if that is later.
        case cohort(Cohort)
        /// Waits for a place in history.
        case waiting
        /// Its stream's reader is too slow; it goes on when that has caught up.
        case parked
        case gone
    }

    let id: Int64
    let range: KeyRange
    /// The stream outlives it: it takes its watchers with it.
    unowned let stream: WatchStream
    let ignoresPuts: Bool
    let ignoresDeletes: Bool
    let wantsPrevious: Bool
    let allowsFragments: Bool
    let wantsProgress: Bool
    /// The revision that the client asked for.
    let start: Int64
    /// It has been given everything before this revision; or wants nothing of it.
    var next: Int64
    /// Up to here it was given everything when it came to its cohort, whose position may be earlier.
    var floor: Int64
    var place = Place.waiting
    /// Whether it got events since it was last asked for progress.
    var hadEvents = false

    // The index's and the cohort's.
    var group: WatcherGroup?
    var groupPosition = -1
    var memberPosition = -1

    /// This turn's events for it: the first and the last in the turn's chain; -1 for none.
    var firstMatch: Int32 = -1
    var lastMatch: Int32 = -1

    init(_ request: WatchRequest, id: Int64, stream: WatchStream, next: Int64, floor: Int64) {
        self.id = id
        range = request.range
        self.stream = stream
        ignoresPuts = request.ignoresPuts
        ignoresDeletes = request.ignoresDeletes
        wantsPrevious = request.wantsPrevious
        allowsFragments = request.allowsFragments
        wantsProgress = request.wantsProgress
        start = request.start.rawValue
        self.next = next
        self.floor = floor
    }

    func wants(_ kind: Change.Kind, at revision: Int64) -> Bool {
        guard revision >= next else { return false }
        switch kind {
        case .put: return !ignoresPuts
        case .delete: return !ignoresDeletes
        }
    }
}

/// The watchers of one range.
final class WatcherGroup {
    let range: KeyRange
    private(set) var watchers: ContiguousArray<Watcher> = []

    init(_ range: KeyRange) { self.range = range }

    func append(_ watcher: Watcher) {
        watcher.group = self
        watcher.groupPosition = watchers.count
        watchers.append(watcher)
    }

    func remove(_ watcher: Watcher) {
        let last = watchers.removeLast()
        if last !== watcher {
            watchers[watcher.groupPosition] = last
            last.groupPosition = watcher.groupPosition
        }
        watcher.group = nil
        watcher.groupPosition = -1
    }
}

/// Watchers that have been given history up to the same place: those that follow what happens now, or some that come
/// from the past.
final class Cohort {
    /// Up to here all members were given everything.
    var position: Int64
    private(set) var index = WatchIndex()
    /// In an order that depends on what happened alone, as the index's does not.
    private(set) var members: ContiguousArray<Watcher> = []

    init(position: Int64) { self.position = position }

    func insert(_ watcher: Watcher) {
        watcher.place = .cohort(self)
        watcher.memberPosition = members.count
        members.append(watcher)
        index.insert(watcher)
    }

    /// The watcher's place is the caller's to set.
    func remove(_ watcher: Watcher) {
        let last = members.removeLast()
        if last !== watcher {
            members[watcher.memberPosition] = last
            last.memberPosition = watcher.memberPosition
        }
        watcher.memberPosition = -1
        index.remove(watcher)
    }
}
