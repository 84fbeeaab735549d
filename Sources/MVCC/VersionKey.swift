/// Keys of the table `versions`: the user's key in an escape that keeps its order, then the change that wrote the
/// version, inverted, so that a key's newest version comes first.
///
///     escaped user key (0x00 -> 0x00 0xff) · 0x00 0x01 · ~revision (8, big-endian) · ~number (4, big-endian)
enum VersionKey {
    static let terminatorBytes = 2
    static let changeBytes = 12
    static let bytesMin = terminatorBytes + changeBytes

    /// How many bytes the escaped key and its terminator take.
    static func prefixCount(_ key: UnsafeRawBufferPointer) -> Int {
        guard unsafe containsZero(key) else { return key.count + terminatorBytes }
        return unsafe key.reduce(key.count + terminatorBytes) { $0 + ($1 == 0 ? 1 : 0) }
    }

    /// Writes the escaped key and its terminator, and says where the next byte goes.
    static func storePrefix(_ key: UnsafeRawBufferPointer, at start: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer
    {
        var place = unsafe start
        if unsafe containsZero(key) {
            for index in 0..<key.count {
                let byte = unsafe key[index]
                unsafe place.storeBytes(of: byte, as: UInt8.self)
                unsafe place += 1
                if byte == 0 {
                    unsafe place.storeBytes(of: 0xff, as: UInt8.self)
                    unsafe place += 1
                }
            }
        } else {
            unsafe place = unsafe store(key, at: place)
        }
        unsafe place.storeBytes(of: 0, as: UInt8.self)
        unsafe (place + 1).storeBytes(of: 1, as: UInt8.self)
        return unsafe place + terminatorBytes
    }

    static func storeChange(_ revision: Int64, _ number: UInt32, at place: UnsafeMutableRawPointer) {
        unsafe place.storeBytes(of: (~UInt64(bitPattern: revision)).bigEndian, as: UInt64.self)
        unsafe (place + 8).storeBytes(of: (~number).bigEndian, as: UInt32.self)
    }

    /// Calls `body` with the prefix, and room for a change behind it, in memory that lasts as long as the call.
    static func withPrefix<R>(
        _ key: UnsafeRawBufferPointer, _ body: (_ prefix: UnsafeMutableRawBufferPointer, _ prefixCount: Int) -> R
    ) -> R {
        let count = unsafe prefixCount(key)
        return unsafe withUnsafeTemporaryAllocation(byteCount: count + changeBytes, alignment: 8) { buffer in
            _ = unsafe storePrefix(key, at: buffer.baseAddress!)
            return unsafe body(buffer, count)
        }
    }

    // MARK: Reading

    /// How many bytes of a row's key stand before the change; throws if it is none of ours.
    static func checkedPrefixCount(_ row: UnsafeRawBufferPointer) throws(StateError) -> Int {
        let count = row.count - changeBytes
        guard count >= terminatorBytes, unsafe row[count - 2] == 0, unsafe row[count - 1] == 1,
            unsafe row[count] & 0x80 != 0
        else {
            throw .corrupt(unsafe "versions: a row's key is none: \(hex(row))")
        }
        return count
    }

    /// The revision of the change, read behind the prefix.
    static func revision(_ row: UnsafeRawBufferPointer, _ prefixCount: Int) -> Int64 {
        unsafe Int64(bitPattern: ~UInt64(bigEndian: row.loadUnaligned(fromByteOffset: prefixCount, as: UInt64.self)))
    }

    static func number(_ row: UnsafeRawBufferPointer, _ prefixCount: Int) -> UInt32 {
        unsafe ~UInt32(bigEndian: row.loadUnaligned(fromByteOffset: prefixCount + 8, as: UInt32.self))
    }

    /// The error of a row that is newer than the store's revision `head`.
    static func tooNew(_ row: UnsafeRawBufferPointer, _ revision: Int64, head: Int64) -> StateError {
        .corrupt(unsafe "versions: row \(hex(row)) is of revision \(revision), and the store's is \(head)")
    }

    /// The user's key: in the row's own memory if nothing is escaped in it, else in `scratch`.
    static func userKey(
        _ row: UnsafeRawBufferPointer, _ prefixCount: Int, scratch: inout ByteScratch
    ) throws(StateError) -> UnsafeRawBufferPointer {
        let escaped = unsafe UnsafeRawBufferPointer(rebasing: row[..<(prefixCount - terminatorBytes)])
        guard unsafe containsZero(escaped) else { return unsafe escaped }
        let target = unsafe scratch.resize(escaped.count)
        var read = 0
        var written = 0
        while read < escaped.count {
            let byte = unsafe escaped[read]
            unsafe target.storeBytes(of: byte, toByteOffset: written, as: UInt8.self)
            written += 1
            read += 1
            if byte == 0 {
                guard read < escaped.count, unsafe escaped[read] == 0xff else {
                    throw .corrupt(unsafe "versions: a row's key has a bad escape: \(hex(row))")
                }
                read += 1
            }
        }
        return unsafe UnsafeRawBufferPointer(rebasing: scratch.bytes[..<written])
    }
}

/// Rows of the table `revisions`: the change, big-endian, then what it did to which key.
///
///     revision (8, big-endian) · number (4, big-endian)  ->  kind (1) · user key
enum RevisionRow {
    static let keyBytes = 12

    static func storeKey(_ revision: Int64, _ number: UInt32, at place: UnsafeMutableRawPointer) {
        unsafe place.storeBytes(of: UInt64(bitPattern: revision).bigEndian, as: UInt64.self)
        unsafe place.storeBytes(of: number.bigEndian, toByteOffset: 8, as: UInt32.self)
    }

    static func encodeKey(_ change: ChangeID) -> [UInt8] {
        unsafe Array(unsafeUninitializedCapacity: keyBytes) { buffer, initialized in
            unsafe storeKey(change.revision.rawValue, change.number, at: UnsafeMutableRawPointer(buffer.baseAddress!))
            initialized = keyBytes
        }
    }

    static func withKey<R>(_ change: ChangeID, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        unsafe withUnsafeTemporaryAllocation(byteCount: keyBytes, alignment: 8) { buffer in
            unsafe storeKey(change.revision.rawValue, change.number, at: buffer.baseAddress!)
            return unsafe body(UnsafeRawBufferPointer(buffer))
        }
    }

    static func valueCount(_ key: UnsafeRawBufferPointer) -> Int { 1 + key.count }

    static func storeValue(_ kind: Change.Kind, _ key: UnsafeRawBufferPointer, at place: UnsafeMutableRawPointer) {
        unsafe place.storeBytes(of: kind.rawValue, as: UInt8.self)
        _ = unsafe store(key, at: place + 1)
    }

    static func change(_ row: UnsafeRawBufferPointer) throws(StateError) -> ChangeID {
        guard row.count == keyBytes, unsafe row[0] & 0x80 == 0 else {
            throw .corrupt(unsafe "revisions: a row's key is none: \(hex(row))")
        }
        return unsafe ChangeID(
            revision: Revision(Int64(UInt64(bigEndian: row.loadUnaligned(as: UInt64.self)))),
            number: UInt32(bigEndian: row.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
    }

    static func content(
        _ value: UnsafeRawBufferPointer
    ) throws(StateError) -> (kind: Change.Kind, key: UnsafeRawBufferPointer) {
        guard value.count >= 1, let kind = unsafe Change.Kind(rawValue: value[0]) else {
            throw .corrupt(unsafe "revisions: a row's value is none: \(hex(value))")
        }
        return unsafe (kind, UnsafeRawBufferPointer(rebasing: value[1...]))
    }
}

/// Bytes for an error's text, cut to what a line can hold.
func hex(_ bytes: UnsafeRawBufferPointer) -> String {
    let digits = Array("0123456789abcdef")
    var text = ""
    for index in 0..<min(bytes.count, 64) {
        let byte = unsafe bytes[index]
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return bytes.count > 64 ? text + "… (\(bytes.count) bytes)" : text
}
