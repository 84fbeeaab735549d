/// An alarm that is raised in the cluster.
struct ActiveAlarm: Hashable, Sendable {
    enum Kind: String, Sendable {
        case nospace = "NOSPACE"
        case corrupt = "CORRUPT"
    }

    var member: UInt64
    var kind: Kind
}
