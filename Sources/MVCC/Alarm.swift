/// What is wrong with a member, so that the whole cluster holds back. Numbers are etcd's, and on disk.
package enum AlarmKind: UInt8, Sendable, CaseIterable {
    /// The member's data has reached its quota.
    case noSpace = 1
    /// The member's data is not what the others have.
    case corrupt = 2
}

/// An alarm that is raised. Which member raised it, or is meant, is anyone's to say, as in etcd: 0 is "nobody known".
package struct Alarm: Hashable, Comparable, Sendable {
    package var member: UInt64
    package var kind: AlarmKind

    package init(_ kind: AlarmKind, member: UInt64) {
        self.kind = kind
        self.member = member
    }

    package static func < (one: Alarm, other: Alarm) -> Bool {
        (one.kind.rawValue, one.member) < (other.kind.rawValue, other.member)
    }
}
