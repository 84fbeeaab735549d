/// Bytes that are not a configuration, or not a change of one.
public struct ConfigurationDecodingError: Error, Hashable, Sendable, CustomStringConvertible {
    public var reason: String
    public init(reason: String) { self.reason = reason }
    public var description: String { reason }
}

// These bytes are in the log and in snapshots for good: a new layout takes a new version number, and old ones stay
// readable. All integers are little-endian.
//
//     change         nothing                                    an empty change: the joint configuration is left
//                    1 · transition u8 · count u16 · count x (kind u8 · node u64) · context length u32 · context
//     configuration  1 · flags u8 (bit 0: leaves automatically) · 4 x (count u16 · count x node u64)
//                    voters, outgoing voters, learners, next learners; each strictly ascending

extension ConfigurationChange {
    private static let version: UInt8 = 1
    /// More steps than any cluster has members.
    public static let maxChanges = 1024
    public static let maxContextBytes = 1 << 20

    /// The payload of a configuration entry. The empty change, which leaves a joint configuration, is no bytes at all:
    /// so that a leader can always append it, whatever the limits say.
    public func encode() -> [UInt8] {
        precondition(changes.count <= Self.maxChanges, "\(changes.count) steps in one configuration change")
        precondition(context.count <= Self.maxContextBytes, "\(context.count) bytes of context")
        if leavesJoint, context.isEmpty { return [] }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(8 + changes.count * 9 + context.count)
        bytes.append(Self.version)
        bytes.append(transition.rawValue)
        bytes.appendInteger(UInt16(changes.count))
        for change in changes {
            bytes.append(change.kind.rawValue)
            bytes.appendInteger(change.node.rawValue)
        }
        bytes.appendInteger(UInt32(context.count))
        bytes.append(contentsOf: context)
        return bytes
    }

    public init(decoding bytes: [UInt8]) throws(ConfigurationDecodingError) {
        self.init(changes: [])
        guard !bytes.isEmpty else { return }
        var reader = ByteReader(bytes)
        guard try reader.integer(UInt8.self) == Self.version else { throw reader.error("unknown version") }
        guard let transition = Transition(rawValue: try reader.integer()) else {
            throw reader.error("unknown transition")
        }
        self.transition = transition
        let count = Int(try reader.integer(UInt16.self))
        guard count <= Self.maxChanges else { throw reader.error("\(count) steps") }
        for _ in 0..<count {
            guard let kind = MemberChange.Kind(rawValue: try reader.integer()) else {
                throw reader.error("unknown kind of step")
            }
            changes.append(MemberChange(kind, NodeID(try reader.integer(UInt64.self))))
        }
        let length = Int(try reader.integer(UInt32.self))
        guard length <= Self.maxContextBytes else { throw reader.error("\(length) bytes of context") }
        context = try reader.bytes(length)
        try reader.finish()
        guard !(leavesJoint && context.isEmpty) else { throw reader.error("an empty change has no bytes") }
    }
}

extension Configuration {
    private static let version: UInt8 = 1
    public static let maxMembersPerList = 1024

    public func encode() -> [UInt8] {
        var bytes: [UInt8] = [Self.version, leavesAutomatically ? 1 : 0]
        for list in [voters, outgoingVoters, learners, nextLearners] {
            precondition(list.count <= Self.maxMembersPerList, "\(list.count) members in one list")
            bytes.appendInteger(UInt16(list.count))
            for id in list { bytes.appendInteger(id.rawValue) }
        }
        return bytes
    }

    public init(decoding bytes: [UInt8]) throws(ConfigurationDecodingError) {
        self.init()
        var reader = ByteReader(bytes)
        guard try reader.integer(UInt8.self) == Self.version else { throw reader.error("unknown version") }
        let flags = try reader.integer(UInt8.self)
        guard flags <= 1 else { throw reader.error("unknown flags") }
        leavesAutomatically = flags == 1
        voters = try reader.members()
        outgoingVoters = try reader.members()
        learners = try reader.members()
        nextLearners = try reader.members()
        try reader.finish()
        if let reason = inconsistency { throw reader.error(reason) }
    }
}

private struct ByteReader {
    private let source: [UInt8]
    private var place = 0

    init(_ source: [UInt8]) { self.source = source }

    func error(_ reason: String) -> ConfigurationDecodingError {
        ConfigurationDecodingError(reason: "\(reason) (before byte \(place) of \(source.count))")
    }

    mutating func integer<T: FixedWidthInteger>(_: T.Type = T.self) throws(ConfigurationDecodingError) -> T {
        let size = T.bitWidth / 8
        guard source.count - place >= size else { throw error("cut short") }
        var value: T = 0
        for offset in 0..<size { value |= T(truncatingIfNeeded: source[place + offset]) << T(8 * offset) }
        place += size
        return value
    }

    mutating func bytes(_ count: Int) throws(ConfigurationDecodingError) -> [UInt8] {
        guard source.count - place >= count else { throw error("cut short") }
        defer { place += count }
        return Array(source[place..<(place + count)])
    }

    mutating func members() throws(ConfigurationDecodingError) -> [NodeID] {
        let count = Int(try integer(UInt16.self))
        guard count <= Configuration.maxMembersPerList else { throw error("\(count) members in one list") }
        var list: [NodeID] = []
        list.reserveCapacity(count)
        for _ in 0..<count { list.append(NodeID(try integer(UInt64.self))) }
        return list
    }

    func finish() throws(ConfigurationDecodingError) {
        if place != source.count { throw error("\(source.count - place) bytes too many") }
    }
}

extension [UInt8] {
    fileprivate mutating func appendInteger<T: FixedWidthInteger>(_ value: T) {
        for offset in 0..<(T.bitWidth / 8) { append(UInt8(truncatingIfNeeded: value >> T(8 * offset))) }
    }
}
