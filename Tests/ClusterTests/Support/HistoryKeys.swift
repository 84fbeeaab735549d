import EtcdAPI
import RaftSimulation

/// The keys of a history: small groups that no operation crosses, so that each group's history can be checked alone.
/// Groups come and go, which keeps their histories short enough for the search for an order.
enum HistoryKeys {
    static let keysPerGroup = 3
    static let prefix = "history/"

    static func group(of key: Int) -> Int { key / keysPerGroup }

    static func keys(of group: Int) -> [Int] { (0..<keysPerGroup).map { group * keysPerGroup + $0 } }

    private static func folder(_ group: Int) -> String {
        let digits = String(group)
        return prefix + String(repeating: "0", count: max(0, 6 - digits.count)) + digits + "/"
    }

    static func name(_ key: Int) -> [UInt8] { Array((folder(group(of: key)) + String(key % keysPerGroup)).utf8) }

    /// The range that holds a group's keys and nothing else.
    static func range(of group: Int) -> WireRangeRequest<[UInt8]> {
        let start = Array(folder(group).utf8)
        return WireRangeRequest(key: start, rangeEnd: start.dropLast() + [UInt8(ascii: "/") + 1])
    }

    static func key(named name: [UInt8]) throws -> Int {
        let parts = String(decoding: name, as: UTF8.self).split(separator: "/")
        guard parts.count == 3, let group = Int(parts[1]), let place = Int(parts[2]), place < keysPerGroup else {
            throw ClusterFailure("a key that nobody wrote: \(String(decoding: name, as: UTF8.self))")
        }
        return group * keysPerGroup + place
    }

    /// A number, and bytes that make it as long as a value usually is.
    static func encode(_ value: Int) -> [UInt8] {
        var bytes = Array("\(value) ".utf8)
        while bytes.count < 128 { bytes.append(UInt8(ascii: "a") + UInt8(bytes.count % 26)) }
        return bytes
    }

    static func decode(_ bytes: [UInt8]) throws -> Int {
        let digits = bytes.prefix { $0 != UInt8(ascii: " ") }
        guard let value = Int(String(decoding: digits, as: UTF8.self)), encode(value) == bytes else {
            throw ClusterFailure("a value that nobody wrote: \(String(decoding: bytes, as: UTF8.self))")
        }
        return value
    }
}
