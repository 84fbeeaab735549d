package import MVCC
internal import Synchronization

/// Hands what the state has changed from the thread that applies to those who watch: once a batch, and once a
/// subscriber (an event loop), however many watchers that has.
///
/// Changes are recorded only while somebody subscribes. That is switched between two batches, on the thread that
/// applies; a batch of which not all was recorded is told as a gap.
package final class WatchFeed: Sendable {
    private let inboxes = Mutex<[WatchInbox]>([])
    /// The same as whether `inboxes` has any, for the thread that applies.
    private let hasSubscribers = Atomic<Bool>(false)

    package init() {}

    /// From now on the inbox gets every batch. What is in the first may have begun before: whoever subscribes looks at
    /// the published state afterwards, and takes what it finds there as told.
    func subscribe(_ inbox: WatchInbox) {
        inboxes.withLock { inboxes in
            inboxes.append(inbox)
            hasSubscribers.store(true, ordering: .sequentiallyConsistent)
        }
    }

    func unsubscribe(_ inbox: WatchInbox) {
        inboxes.withLock { inboxes in
            inboxes.removeAll { $0 === inbox }
            hasSubscribers.store(!inboxes.isEmpty, ordering: .sequentiallyConsistent)
        }
    }

    /// Called on the thread that applies, after a view has been published.
    /// - Parameter published: up to where batches were handed out before; moved to the view's revision.
    package func publish(_ state: inout State, _ view: ReadView, after published: inout Revision) {
        defer { published = view.revision }
        let isWanted = hasSubscribers.load(ordering: .sequentiallyConsistent)
        guard isWanted || state.recordsChanges else { return }
        let wasRecorded = state.recordsChanges
        let changes = wasRecorded ? state.takeChanges() : []
        state.recordsChanges = isWanted
        guard isWanted, view.revision > published else { return }
        let from = Revision(published.rawValue + 1)
        let batch =
            wasRecorded
            ? ChangeBatch(from: from, to: view.revision, changes: changes, view: view)
            : ChangeBatch(from: from, to: view.revision)
        inboxes.withLock { inboxes in
            for inbox in inboxes { inbox.post(batch) }
        }
    }
}
