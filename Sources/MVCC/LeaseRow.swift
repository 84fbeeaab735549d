internal import ByteCodec
internal import StorageEngine

/// Rows of the table `leases`: the leases themselves, and which keys are attached to them.
///
///     0 · id (8)             ->  CRC-32C (4, little-endian) · TTL (8) · deadline (8), both little-endian
///     1 · id (8) · user key  ->  nothing
///
/// Ids are big-endian with their sign bit inverted, so that rows are in the order of the numbers. The checksum covers
/// the row's key and the value. An attachment has none: the newest version of its key names the lease too.
enum LeaseRow {
    private static let leaseMark: UInt8 = 0
    private static let attachmentMark: UInt8 = 1
    private static let headBytes = 9
    private static let valueBytes = 20

    enum Content {
        case lease(Lease)
        /// The user's key, in the row's memory.
        case attachment(LeaseID, key: UnsafeRawBufferPointer)
    }

    private static func storeHead(_ mark: UInt8, _ id: LeaseID, at place: UnsafeMutableRawPointer) {
        unsafe place.storeBytes(of: mark, as: UInt8.self)
        let ordered = UInt64(bitPattern: id.rawValue) ^ (1 << 63)
        unsafe place.storeBytes(of: ordered.bigEndian, toByteOffset: 1, as: UInt64.self)
    }

    /// Calls `body` with the row of a lease.
    static func withRow<R>(
        of lease: Lease, _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> R
    ) -> R {
        unsafe withUnsafeTemporaryAllocation(byteCount: headBytes + valueBytes, alignment: 8) { buffer in
            let base = buffer.baseAddress!
            unsafe storeHead(leaseMark, lease.id, at: base)
            let value = unsafe base + headBytes
            unsafe value.storeBytes(of: UInt64(lease.ttl).littleEndian, toByteOffset: 4, as: UInt64.self)
            unsafe value.storeBytes(of: lease.deadline.rawValue.littleEndian, toByteOffset: 12, as: UInt64.self)
            let key = unsafe UnsafeRawBufferPointer(start: base, count: headBytes)
            let row = unsafe UnsafeRawBufferPointer(start: value, count: valueBytes)
            unsafe value.storeBytes(of: checksum(key, row).littleEndian, as: UInt32.self)
            return unsafe body(key, row)
        }
    }

    static func withLeaseKey<R>(_ id: LeaseID, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try unsafe withUnsafeTemporaryAllocation(byteCount: headBytes, alignment: 8) { buffer in
            unsafe storeHead(leaseMark, id, at: buffer.baseAddress!)
            return try unsafe body(UnsafeRawBufferPointer(buffer))
        }
    }

    /// Where the attachments of a lease begin; with a user's key, that attachment.
    static func withAttachmentKey<R>(
        _ id: LeaseID, _ key: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        _ body: (UnsafeRawBufferPointer) -> R
    ) -> R {
        unsafe withUnsafeTemporaryAllocation(byteCount: headBytes + key.count, alignment: 8) { buffer in
            let base = buffer.baseAddress!
            unsafe storeHead(attachmentMark, id, at: base)
            _ = unsafe store(key, at: base + headBytes)
            return unsafe body(UnsafeRawBufferPointer(buffer))
        }
    }

    /// What a row says; throws if it is none of ours, or not what was written.
    static func content(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) throws(StateError) -> Content {
        guard key.count >= headBytes else { throw unsafe damaged(key, "its key is none") }
        let ordered = unsafe UInt64(bigEndian: key.loadUnaligned(fromByteOffset: 1, as: UInt64.self))
        let id = LeaseID(Int64(bitPattern: ordered ^ (1 << 63)))
        switch unsafe key[0] {
        case leaseMark:
            guard key.count == headBytes, id != .none else { throw unsafe damaged(key, "its key is none") }
            return .lease(try unsafe lease(id, key, value))
        case attachmentMark:
            guard key.count > headBytes, id != .none, value.isEmpty else {
                throw unsafe damaged(key, "it is no attachment")
            }
            return unsafe .attachment(id, key: UnsafeRawBufferPointer(rebasing: key[headBytes...]))
        default: throw unsafe damaged(key, "its key is none")
        }
    }

    private static func lease(
        _ id: LeaseID, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) throws(StateError) -> Lease {
        guard value.count == valueBytes else { throw unsafe damaged(key, "it has \(value.count) bytes") }
        let stored = unsafe UInt32(littleEndian: value.loadUnaligned(as: UInt32.self))
        guard unsafe checksum(key, value) == stored else { throw unsafe damaged(key, "its checksum is wrong") }
        let ttl = unsafe Int64(
            bitPattern: UInt64(littleEndian: value.loadUnaligned(fromByteOffset: 4, as: UInt64.self)))
        let deadline = unsafe UInt64(littleEndian: value.loadUnaligned(fromByteOffset: 12, as: UInt64.self))
        guard (1...Lease.ttlMax).contains(ttl) else { throw unsafe damaged(key, "a TTL of \(ttl)") }
        return Lease(id: id, ttl: ttl, deadline: LeaseTime(deadline))
    }

    private static func checksum(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> UInt32 {
        var sum = CRC32C()
        unsafe sum.update(key)
        unsafe sum.update(UnsafeRawBufferPointer(rebasing: value[4...]))
        return sum.value
    }

    private static func damaged(_ key: UnsafeRawBufferPointer, _ what: String) -> StateError {
        .corrupt(unsafe "leases: row \(hex(key)): \(what)")
    }

    // MARK: Reading

    static func lease(_ id: LeaseID, in view: LayeredView) throws(StateError) -> Lease? {
        let found: Result<Lease?, StateError> = withLeaseKey(id) { key in
            unsafe view.withValue(.leases, key) { value in
                guard let value else { return .success(nil) }
                return Result { () throws(StateError) in try unsafe lease(id, key, value) }
            }
        }
        return try found.get()
    }

    /// The keys that are attached to a lease, in their order.
    static func keys(of id: LeaseID, in view: LayeredView) throws(StateError) -> [[UInt8]] {
        let cursor = view.makeCursor(.leases)
        var keys: [[UInt8]] = []
        var more = withAttachmentKey(id) { unsafe cursor.seek($0) }
        while more {
            guard case .attachment(let owner, let key) = try unsafe content(cursor.key, cursor.value), owner == id
            else { break }
            unsafe keys.append(Array(key))
            more = cursor.next()
        }
        return keys
    }

    static func hasKeys(_ id: LeaseID, in view: LayeredView) throws(StateError) -> Bool {
        let cursor = view.makeCursor(.leases)
        let isThere = withAttachmentKey(id) { unsafe cursor.seek($0) }
        guard isThere else { return false }
        guard case .attachment(let owner, _) = try unsafe content(cursor.key, cursor.value) else { return false }
        return owner == id
    }

    /// Calls `body` with each lease, by ascending id.
    static func forEachLease(in view: LayeredView, _ body: (Lease) -> Void) throws(StateError) {
        let cursor = view.makeCursor(.leases)
        var more = cursor.first()
        while more {
            guard case .lease(let lease) = try unsafe content(cursor.key, cursor.value) else { return }
            body(lease)
            more = cursor.next()
        }
    }
}
