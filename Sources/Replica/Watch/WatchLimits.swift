/// What the watches of one event loop may use. Every queue and buffer of theirs has its limit here.
package struct WatchLimits: Sendable {
    // MARK: From the thread that applies

    /// Batches that may wait for the loop; beyond it they become a gap, which history fills.
    package var undeliveredBatchesMax = 256
    /// Bytes of keys and values in them.
    package var undeliveredBytesMax = 32 << 20

    // MARK: One turn of the loop

    /// Events, once for each watcher that gets them, before other work of the loop has its turn.
    package var deliveriesPerTurn = 8192
    /// Bytes of encoded events, each counted once.
    package var encodedBytesPerTurn = 1 << 20
    /// Changes of history that one turn looks at.
    package var historyRowsPerTurn = 1024

    // MARK: Watchers

    package var watchersPerStreamMax = 1 << 18
    /// Groups of watchers that walk through history at once, each from another revision on. Who comes when there are so
    /// many waits until one has arrived.
    package var cohortsMax = 4

    // MARK: Responses

    /// Revisions share a response up to this size. One revision is never divided, but for who asked for fragments.
    package var responseBytesMax = 1 << 20
    /// From this size on a revision is divided for who asked for it (A7): etcd's `--max-request-bytes`.
    package var fragmentBytesMax = 1_572_864

    // MARK: Slow readers

    /// Bytes that wait on a stream beyond which its watchers get nothing more, until they are `drainedBytes`; then they
    /// go on in history.
    package var streamPendingBytesMax = 4 << 20
    package var drainedBytes = 32 << 10
    /// Bytes that wait on all streams of the loop with more than `drainedBytes` each. Beyond it, `drainedBytes` is all
    /// that a stream may have: ten thousand streams that nobody reads cost 320 MiB.
    package var loopPendingBytesMax = 128 << 20

    package init() {}
}
