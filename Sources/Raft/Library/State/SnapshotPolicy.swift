import Synchronization

/// When a snapshot is taken. The apply stage looks at it, and the member's owner may change it at any time.
package final class SnapshotPolicy: Sendable {
    private struct Limits: Sendable {
        var entries: UInt64
        var bytes: Int
    }

    private let limits: Mutex<Limits>

    /// - Parameters:
    ///   - entries: a snapshot is due when so many entries...
    ///   - bytes: ...or so many bytes of them were applied after the last one.
    package init(entries: UInt64, bytes: Int) { limits = Mutex(Limits(entries: entries, bytes: bytes)) }

    func change(entries: UInt64, bytes: Int) {
        limits.withLock { $0 = Limits(entries: entries, bytes: bytes) }
    }

    func isDue(entries: UInt64, bytes: Int) -> Bool {
        limits.withLock { entries >= $0.entries || bytes >= $0.bytes }
    }
}
