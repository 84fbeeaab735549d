import MVCC

/// The watchers of one stream, and how far its reader is behind. Used on its watch loop's thread only.
package final class WatchStream {
    let outlet: any WatchOutlet
    var watchers: [Int64: Watcher] = [:]
    /// The next id to try for who does not ask for one.
    private var nextID: Int64 = 0
    /// Watchers that wait for the reader.
    var parked: ContiguousArray<Watcher> = []
    /// What of its unread bytes is counted among the loop's.
    var countedBytes = 0
    var awaitsDrain = false
    /// Somebody asked for the progress of all watchers, and they are not there yet.
    var owesProgress = false
    var isClosed = false

    init(outlet: any WatchOutlet) { self.outlet = outlet }

    package var watcherCount: Int { watchers.count }

    /// Whether a watcher wants to hear of progress though nothing happens.
    package var wantsProgress: Bool { watchers.values.contains { $0.wantsProgress } }

    /// The id of a new watcher; nil if the one that was asked for is in use. As in etcd, ids are given out from zero
    /// on, and one that was given back is not given out again before the others (A1).
    func takeID(asked: Int64) -> Int64? {
        if asked != 0 { return watchers[asked] == nil ? asked : nil }
        while watchers[nextID] != nil { nextID &+= 1 }
        defer { nextID &+= 1 }
        return nextID
    }
}
