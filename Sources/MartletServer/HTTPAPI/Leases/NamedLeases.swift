import MVCC

/// Leases with names, as raftd has them: who is there is found by the beginning of a lease's name.
///
/// They are ordinary leases, and ordinary keys attached to them, so that all of it ends with the lease:
///
///     __martlet/lease/id/<id>                  the lease's name
///     __martlet/lease/name/<name>|<id>         empty
///     __martlet/lease/name/<name>|<id>|<key>   the data of one keep-alive's key
///
/// Ids are sixteen hexadecimal digits. In names a percent sign is `%25` and a bar `%7C`: so a prefix of a name stays
/// the prefix of a key, and one range finds what is below it. Several leases may have one name.
enum NamedLeases {
    static func idKey(_ id: LeaseID) -> [UInt8] { ReservedKeys.leaseIDs + hex(id) }

    static func nameKey(_ name: [UInt8], _ id: LeaseID) -> [UInt8] {
        ReservedKeys.leaseNames + escaped(name) + [bar] + hex(id)
    }

    static func dataKey(_ name: [UInt8], _ id: LeaseID, _ key: [UInt8]) -> [UInt8] {
        nameKey(name, id) + [bar] + key
    }

    /// All rows of leases whose names begin with a prefix.
    static func range(ofPrefix prefix: [UInt8]) -> KeyRange {
        KeyRange(prefix: ReservedKeys.leaseNames + escaped(prefix))
    }

    /// All data of one lease.
    static func dataRange(_ name: [UInt8], _ id: LeaseID) -> KeyRange {
        KeyRange(prefix: nameKey(name, id) + [bar])
    }

    /// What a row of data says by its key; nil: it is none.
    static func parse(_ row: UnsafeRawBufferPointer) -> (id: LeaseID, key: UnsafeRawBufferPointer)? {
        guard row.starts(with: ReservedKeys.leaseNames),
            let first = row[ReservedKeys.leaseNames.count...].firstIndex(of: bar),
            let second = row[(first + 1)...].firstIndex(of: bar), second - first == 17,
            let id = Int64(String(decoding: row[(first + 1)..<second], as: UTF8.self), radix: 16), id > 0
        else { return nil }
        return (LeaseID(id), UnsafeRawBufferPointer(rebasing: row[(second + 1)...]))
    }

    private static let bar = UInt8(ascii: "|")

    private static func hex(_ id: LeaseID) -> [UInt8] {
        let digits = String(id.rawValue, radix: 16)
        return Array((String(repeating: "0", count: 16 - digits.count) + digits).utf8)
    }

    private static func escaped(_ name: [UInt8]) -> [UInt8] {
        var escaped: [UInt8] = []
        escaped.reserveCapacity(name.count)
        for byte in name {
            switch byte {
            case UInt8(ascii: "%"): escaped += Array("%25".utf8)
            case bar: escaped += Array("%7C".utf8)
            default: escaped.append(byte)
            }
        }
        return escaped
    }
}
