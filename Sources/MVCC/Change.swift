/// Something that a command changed, for those who watch.
package struct Change: Hashable, Sendable {
    /// What happened to the key. Raw values are on disk in the table `revisions`.
    package enum Kind: UInt8, Sendable {
        case put = 0
        case delete = 1
    }

    package var kind: Kind
    package var id: ChangeID
    /// The pair after the change. After a delete only key and mod revision are set, as in etcd's events.
    package var keyValue: KeyValue
}
