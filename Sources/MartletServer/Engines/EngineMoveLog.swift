import Logging
import Replica

/// What the log says while a state is brought to another engine.
enum EngineMoveLog {
    static func log(_ event: EngineMove.Event, to logger: Logger) {
        switch event {
        case .began(let from, let to):
            logger.info(
                "moving the state to another engine; the old one stays until the new one is whole",
                metadata: ["from": "\(from)", "to": "\(to)"])
        case .copied(let rows):
            logger.info("moving the state goes on", metadata: metadata(rows))
        case .ended(let rows):
            logger.info("moved the state to another engine", metadata: metadata(rows))
        }
    }

    private static func metadata(_ rows: EngineMove.Rows) -> Logger.Metadata {
        ["rows": "\(rows.count)", "bytes": "\(rows.bytes)"]
    }
}
