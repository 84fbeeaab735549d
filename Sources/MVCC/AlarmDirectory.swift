internal import ByteCodec

/// The alarms that are raised, and what they forbid (M2, M5).
package struct AlarmDirectory: Hashable, Sendable {
    /// Any client may raise alarms for any number that it calls a member: so many are kept.
    package static let alarmsMax = 1_024

    /// By kind, then by member.
    package private(set) var all: [Alarm] = []
    /// What apply asks for each command.
    private(set) var isAnyRaised = false
    package private(set) var isCorrupt = false

    package init() {}

    mutating func raise(_ alarm: Alarm) -> AlarmOutcome.Result {
        let place = all.firstIndex { $0 >= alarm } ?? all.endIndex
        if place < all.endIndex, all[place] == alarm { return .wasRaised }
        guard all.count < Self.alarmsMax else { return .tooMany }
        all.insert(alarm, at: place)
        update()
        return .raised
    }

    mutating func disarm(_ alarm: Alarm) -> AlarmOutcome.Result {
        guard let place = all.firstIndex(of: alarm) else { return .wasNotRaised }
        all.remove(at: place)
        update()
        return .disarmed
    }

    private mutating func update() {
        isAnyRaised = !all.isEmpty
        isCorrupt = all.contains { $0.kind == .corrupt }
    }

    /// Why nothing may be put; nil if it may. A corrupt cluster is the greater evil, and is told first.
    var growthRefusal: RequestError? {
        guard isAnyRaised else { return nil }
        return isCorrupt ? .corruptCluster : .noSpace
    }

    /// Why a command may not be applied; nil if it may.
    func refusal(of command: Command) -> RequestError? {
        if isCorrupt { return .corruptCluster }
        switch command {
        case .put: return growthRefusal
        case .transaction(let transaction): return transaction.hasPuts ? growthRefusal : nil
        case .delete, .compact: return nil
        }
    }

    // MARK: The row

    package static let rowName: MetaName = "alarms"

    /// `count (varint) · (kind u8 · member u64le) each`.
    func encode() -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: 4 + 9 * all.count)
        writer.writeVarint(UInt64(all.count))
        for alarm in all {
            writer.write(alarm.kind.rawValue)
            writer.write(alarm.member)
        }
        return writer.finish()
    }

    init(decoding row: [UInt8]) throws(StateError) {
        do throws(DecodingError) {
            try unsafe withBytes(row) { bytes throws(DecodingError) in
                var reader = unsafe ByteReader(bytes)
                let count = try reader.readVarint()
                guard count <= UInt64(Self.alarmsMax) else { throw .invalid("\(count) alarms") }
                for _ in 0..<count {
                    let number = try reader.readByte()
                    guard let kind = AlarmKind(rawValue: number) else { throw .invalid("an alarm of kind \(number)") }
                    let alarm = Alarm(kind, member: try reader.readUInt64())
                    if let last = all.last, last >= alarm { throw .invalid("alarms that are not in their order") }
                    all.append(alarm)
                }
                try reader.expectEnd()
            }
        } catch {
            throw .corrupt("meta: the row of alarms: \(error)")
        }
        update()
    }
}
