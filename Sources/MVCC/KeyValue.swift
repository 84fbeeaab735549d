/// A key with its value as of some revision.
package struct KeyValue: Hashable, Sendable {
    package var key: [UInt8]
    package var createRevision: Revision
    package var modRevision: Revision
    /// How many times the key was put since it was created: 1 for a new key.
    package var version: Int64
    package var value: [UInt8]
    package var lease: LeaseID

    package init(
        key: [UInt8], createRevision: Revision, modRevision: Revision, version: Int64, value: [UInt8], lease: LeaseID
    ) {
        self.key = key
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.version = version
        self.value = value
        self.lease = lease
    }

    package init(_ borrowed: BorrowedKeyValue) {
        key = unsafe Array(borrowed.key)
        createRevision = borrowed.createRevision
        modRevision = borrowed.modRevision
        version = borrowed.version
        value = unsafe Array(borrowed.value)
        lease = borrowed.lease
    }
}

/// The same, with key and value still in the store's memory: valid during the call that hands it over.
@safe package struct BorrowedKeyValue {
    package var key: UnsafeRawBufferPointer
    package var value: UnsafeRawBufferPointer
    package var createRevision: Revision
    package var modRevision: Revision
    package var version: Int64
    package var lease: LeaseID
}

/// Where a range of keys ends.
package enum RangeEnd: Hashable, Sendable {
    /// The range is its first key alone.
    case single
    /// All keys from the first that are less than this one.
    case upTo([UInt8])
    /// All keys from the first.
    case fromKey
}

/// The keys that a request is about.
package struct KeyRange: Hashable, Sendable {
    package var key: [UInt8]
    package var end: RangeEnd

    package init(key: [UInt8], end: RangeEnd = .single) {
        self.key = key
        self.end = end
    }

    /// From etcd's pair: no end is the key alone, the one byte 0 is every key from it, anything else is exclusive.
    package init(key: [UInt8], rangeEnd: [UInt8]) {
        self.key = key
        if rangeEnd.isEmpty {
            end = .single
        } else if rangeEnd.count == 1, rangeEnd[0] == 0 {
            end = .fromKey
        } else {
            end = .upTo(rangeEnd)
        }
    }

    /// The pair that etcd would write for it.
    package var rangeEnd: [UInt8] {
        switch end {
        case .single: []
        case .upTo(let end): end
        case .fromKey: [0]
        }
    }

    package func contains(_ other: [UInt8]) -> Bool {
        switch end {
        case .single: other == key
        case .upTo(let end): !precedes(other, key) && precedes(other, end)
        case .fromKey: !precedes(other, key)
        }
    }
}

/// Bytes in lexicographic order, unsigned: the order of keys.
package func compareArrays(_ a: [UInt8], _ b: [UInt8]) -> Int {
    unsafe a.withUnsafeBytes { a in unsafe b.withUnsafeBytes { b in unsafe compareBytes(a, b) } }
}

package func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool { compareArrays(a, b) < 0 }
