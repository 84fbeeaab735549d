import MVCC
import NIOCore

/// When the server compacts by itself: etcd's rules (`--auto-compaction-mode`, `--auto-compaction-retention`).
///
/// A value that is asked at each of its looks; what time it is and where the store stands come as arguments. It is
/// asked on every member, and answers on the leader only: who leads next has noted the same revisions, and goes on
/// where the last one was.
struct AutoCompaction: Sendable {
    enum Mode: String, Sendable, CaseIterable {
        case periodic
        case revision
    }

    enum Rule: Hashable, Sendable {
        /// Keeps the history of so many nanoseconds.
        case periodic(UInt64)
        /// Keeps so many revisions.
        case revision(Int64)

        /// From one look to the next.
        var lookNanoseconds: UInt64 {
            switch self {
            case .periodic(let period): min(period, AutoCompaction.hour) / AutoCompaction.looksPerInterval
            case .revision: AutoCompaction.revisionInterval
            }
        }
    }

    static let hour: UInt64 = 3_600_000_000_000
    private static let looksPerInterval: UInt64 = 10
    private static let revisionInterval: UInt64 = 300_000_000_000

    let rule: Rule
    /// Of the last looks, oldest first; as many as make up the period, and one.
    private var noted: [Revision] = []
    private var lastRevision = Revision(0)
    /// When the last compaction was done, or, before the first, when the looks began.
    private var lastTime: UInt64
    private var hasBegun = false

    /// - Parameter now: a clock that only moves forward, in nanoseconds.
    init(_ rule: Rule, revision: Revision, now: UInt64) {
        self.rule = rule
        lastTime = now
        note(revision)
    }

    /// Up to where is to be compacted now; nil for not at all.
    mutating func look(now: UInt64, revision: Revision, isLeader: Bool) -> Revision? {
        defer { note(revision) }
        guard isLeader else { return nil }
        switch rule {
        case .periodic(let period):
            // The first one waits until there is a whole period; then one comes each hour, or each period.
            let interval = hasBegun ? min(period, Self.hour) : period
            guard let target = noted.first, target != lastRevision, now - lastTime >= interval else { return nil }
            return target
        case .revision(let kept):
            let target = Revision(revision.rawValue - kept)
            return target.rawValue > 0 && target != lastRevision ? target : nil
        }
    }

    /// A compaction that was asked for is done; after one that failed the next look asks again.
    mutating func compacted(at revision: Revision, now: UInt64) {
        lastRevision = revision
        lastTime = now
        hasBegun = true
    }

    private mutating func note(_ revision: Revision) {
        guard case .periodic(let period) = rule else { return }
        noted.append(revision)
        if UInt64(noted.count) > period / rule.lookNanoseconds + 1 { noted.removeFirst() }
    }
}

extension AutoCompaction.Rule {
    /// Less than this between two looks would be work without end.
    private static let periodMin = Duration.milliseconds(100)
    /// A century.
    private static let hoursMax: Int64 = 876_000

    /// What the flags say; nil where they say that nothing is to be compacted.
    init?(_ mode: AutoCompaction.Mode, retention text: String) throws(ConfigurationError) {
        func refusal(_ reason: String) -> ConfigurationError {
            ConfigurationError("--auto-compaction-retention: \"\(text)\" \(reason)")
        }
        let number = Int64(text)
        if let number, number < 0 { throw refusal("is below zero; 0 switches compaction by the server off") }
        if number == 0 { return nil }
        switch mode {
        case .revision:
            guard let number else {
                throw refusal("is not a number of revisions, which --auto-compaction-mode revision asks for")
            }
            self = .revision(number)
        case .periodic:
            let period: Duration
            if let number {
                guard number <= Self.hoursMax else { throw refusal("hours are more than a century") }
                period = .seconds(3_600 * number)
            } else {
                guard let duration = GoDuration.parse(text) else {
                    throw refusal("is neither a number of hours nor a duration; write it as 8, 30m or 12h")
                }
                period = duration
            }
            if period == .zero { return nil }
            guard period >= Self.periodMin else { throw refusal("is too short; keep at least 100ms") }
            self = .periodic(UInt64(TimeAmount(period).nanoseconds))
        }
    }
}
