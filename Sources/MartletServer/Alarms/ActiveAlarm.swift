import MVCC

/// An alarm that is raised in the cluster.
struct ActiveAlarm: Hashable, Sendable {
    enum Kind: String, Sendable {
        case nospace = "NOSPACE"
        case corrupt = "CORRUPT"

        init(_ kind: AlarmKind) {
            switch kind {
            case .noSpace: self = .nospace
            case .corrupt: self = .corrupt
            }
        }
    }

    var member: UInt64
    var kind: Kind

    init(member: UInt64, kind: Kind) {
        self.member = member
        self.kind = kind
    }

    init(_ alarm: Alarm) { self.init(member: alarm.member, kind: Kind(alarm.kind)) }
}
