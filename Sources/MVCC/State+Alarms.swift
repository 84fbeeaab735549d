internal import ByteCodec
internal import StorageEngine

/// Alarms (M1 to M5): part of the state, so that all members refuse the same commands (decision 0018).
extension State {
    /// Applies the alarm command that a log's record holds.
    package mutating func apply(
        alarmRecord record: UnsafeRawBufferPointer, at position: LogPosition
    ) throws(StateError) -> AlarmOutcome {
        if let failure { throw failure }
        do throws(StateError) {
            return try apply(AlarmCommandCodec.decode(record), at: position)
        } catch {
            failure = error
            throw error
        }
    }

    package mutating func apply(
        _ command: AlarmCommand, at position: LogPosition
    ) throws(StateError) -> AlarmOutcome {
        if let failure { throw failure }
        checkOrder(position)
        let result: AlarmOutcome.Result
        switch command {
        case .activate(let alarm): result = alarms.raise(alarm)
        case .deactivate(let alarm): result = alarms.disarm(alarm)
        }
        // No row where there are no alarms: most states never have one.
        if result == .raised || result == .disarmed {
            let encoded = alarms.encode()
            row.runningHash.add(.alarms, UInt64(CRC32C.checksum(encoded)))
            try setMeta(AlarmDirectory.rowName, alarms.isAnyRaised ? encoded : nil)
        }
        row.applied = position
        return AlarmOutcome(command.alarm, result, revision: row.revision)
    }
}
