import Logging
import MVCC
import RaftCore

/// Alarms in every member's log, as they are applied.
enum AlarmLog {
    static func log(_ outcome: AlarmOutcome, own: NodeID, to logger: Logger) {
        let metadata: Logger.Metadata = [
            "alarm-member-id": "\(hex(outcome.alarm.member))",
            "alarm": "\(ActiveAlarm.Kind(outcome.alarm.kind).rawValue)",
        ]
        guard outcome.result == .raised else { return logger.info("alarm disarmed", metadata: metadata) }
        switch outcome.alarm.kind {
        case .noSpace:
            logger.warning(
                """
                alarm raised: the data has reached its quota; nothing is put until keys are deleted and compacted, or \
                the quota is raised, and the alarm is disarmed
                """, metadata: metadata)
        case .corrupt where outcome.alarm.member == own.rawValue:
            logger.critical(
                """
                alarm raised: the data of this member is not what the others have; nothing is written in the cluster \
                until the alarm is disarmed. Remove this member and add it again with an empty directory
                """, metadata: metadata)
        case .corrupt:
            logger.critical(
                """
                alarm raised: the data of a member is not what the others have; nothing is written in the cluster \
                until the alarm is disarmed
                """, metadata: metadata)
        }
    }
}
