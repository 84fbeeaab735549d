internal import ByteCodec

/// What the log's entries ask of the alarms.
package enum AlarmCommand: Hashable, Sendable {
    case activate(Alarm)
    case deactivate(Alarm)

    package var alarm: Alarm {
        switch self {
        case .activate(let alarm), .deactivate(let alarm): alarm
        }
    }
}

/// What applying an alarm command came to.
package struct AlarmOutcome: Hashable, Sendable {
    package enum Result: Hashable, Sendable {
        /// It is raised now.
        case raised
        /// It was raised before.
        case wasRaised
        /// It is not raised any more.
        case disarmed
        /// Nothing like it was raised.
        case wasNotRaised
        /// There are ``AlarmDirectory/alarmsMax`` of them already: nothing was changed.
        case tooMany
    }

    package var alarm: Alarm
    package var result: Result
    /// The store's revision, which no alarm changes.
    package var revision: Revision

    package init(_ alarm: Alarm, _ result: Result, revision: Revision) {
        self.alarm = alarm
        self.result = result
        self.revision = revision
    }
}

/// The records of alarm commands. The bytes are described in `Documentation/formats/state.md`.
///
///     version (1) · tag (1) · kind (1) · member (8, little-endian)
package enum AlarmCommandCodec {
    package static let version: UInt8 = 1
    private static let recordBytes = 11

    /// What a record's second byte says. Values are never reused.
    private enum Tag: UInt8 {
        case activate = 1
        case deactivate = 2
    }

    /// The record behind `prefixBytes` bytes of zero.
    package static func encode(_ command: AlarmCommand, prefixBytes: Int = 0) -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: prefixBytes + recordBytes)
        for _ in 0..<prefixBytes { writer.write(UInt8(0)) }
        writer.write(version)
        switch command {
        case .activate: writer.write(Tag.activate.rawValue)
        case .deactivate: writer.write(Tag.deactivate.rawValue)
        }
        writer.write(command.alarm.kind.rawValue)
        writer.write(command.alarm.member)
        return writer.finish()
    }

    /// What a record says. A record that ``encode(_:prefixBytes:)`` did not write, or not for this version, is an error
    /// that stops the member.
    package static func decode(_ bytes: UnsafeRawBufferPointer) throws(StateError) -> AlarmCommand {
        guard bytes.count >= 2 else { throw .undecodableCommand("an alarm record of \(bytes.count) bytes") }
        guard bytes[0] == version else { throw .unknownCommandVersion(bytes[0]) }
        guard let tag = Tag(rawValue: bytes[1]) else { throw .unknownCommand(tag: bytes[1]) }
        guard bytes.count == recordBytes else {
            throw .undecodableCommand("an alarm record of \(bytes.count) bytes")
        }
        guard let kind = AlarmKind(rawValue: bytes[2]) else {
            throw .undecodableCommand("an alarm of kind \(bytes[2])")
        }
        let member = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 3, as: UInt64.self))
        let alarm = Alarm(kind, member: member)
        switch tag {
        case .activate: return .activate(alarm)
        case .deactivate: return .deactivate(alarm)
        }
    }
}
