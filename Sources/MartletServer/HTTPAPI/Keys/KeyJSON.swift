import EtcdAPI
import MVCC
import NIOCore

/// Keys and events as JSON. Ids of leases are strings: etcd's clients have some that JavaScript's numbers cannot hold.
extension JSONBuffer {
    /// An object with what is known of a key; with its value, unless only keys were asked for.
    mutating func pair(_ pair: BorrowedKeyValue, contentType: String? = nil, withValue: Bool = true) {
        raw("{")
        bytes("key", pair.key)
        numbers(
            create: pair.createRevision.rawValue, mod: pair.modRevision.rawValue, version: pair.version,
            lease: pair.lease.rawValue)
        if withValue {
            raw(",")
            bytes("value", pair.value)
        }
        if let contentType {
            raw(",\"content_type\":")
            string(contentType)
        }
        raw("}")
    }

    mutating func numbers(create: Int64, mod: Int64, version: Int64, lease: Int64) {
        raw(",\"create_revision\":\(create),\"mod_revision\":\(mod),\"version\":\(version)")
        if lease != 0 { raw(",\"lease\":\"\(lease)\"") }
    }

    /// An event, as watches tell it.
    mutating func event(_ event: WireEvent<[UInt8]>, withValue: Bool) {
        let pair = event.kv ?? WireKeyValue(key: [], createRevision: 0, modRevision: 0, version: 0, value: [], lease: 0)
        raw(event.isDelete ? #"{"type":"delete","# : #"{"type":"put","#)
        bytes("key", pair.key)
        if event.isDelete {
            raw(",\"mod_revision\":\(pair.modRevision)")
        } else {
            numbers(
                create: pair.createRevision, mod: pair.modRevision, version: pair.version, lease: pair.lease)
            if withValue {
                raw(",")
                bytes("value", pair.value)
            }
        }
        raw("}")
    }
}
