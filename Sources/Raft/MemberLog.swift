package import Logging
package import PeerTransportNIO
package import RaftCore

/// What happens inside a member, as lines of its log.
package enum MemberLog {
    /// - Parameter name: how members are called in it.
    package static func log(_ event: TraceEvent, to logger: Logger, name: (NodeID) -> String) {
        func names(_ ids: [NodeID]) -> String { ids.map(name).joined(separator: ",") }
        switch event {
        case .becameFollower(let term, _):
            // Of whom is told when it is known, which may be later.
            logger.info("became follower", metadata: ["term": "\(term.rawValue)"])
        case .becamePreCandidate(let term):
            logger.info("asks whether it could win an election", metadata: ["term": "\(term.rawValue)"])
        case .becameCandidate(let term): logger.info("became candidate", metadata: ["term": "\(term.rawValue)"])
        case .becameLeader(let term): logger.info("became leader", metadata: ["term": "\(term.rawValue)"])
        case .steppedDownWithoutQuorum(let term):
            logger.warning(
                "stepped down as leader: the quorum did not answer for an election timeout",
                metadata: ["term": "\(term.rawValue)"])
        case .configurationChanged(let configuration):
            logger.info(
                "configuration changed",
                metadata: [
                    "voters": "\(names(configuration.voters))", "learners": "\(names(configuration.learners))",
                ])
        case .configurationRefused(let reason):
            logger.warning("a configuration change was refused", metadata: ["reason": "\(reason)"])
        case .messageIgnored(let from, let term, let reason):
            logger.debug(
                "a message was ignored",
                metadata: ["from": "\(name(from))", "term": "\(term.rawValue)", "reason": "\(reason)"])
        }
    }

    /// What the TCP transport has to say.
    package static func transport(_ logger: Logger) -> PeerTransportLog {
        { level, message, fields in
            logger.log(
                level: Logger.Level(level), "\(message)",
                metadata: Logger.Metadata(fields.map { ($0.0, "\($0.1)") }, uniquingKeysWith: { first, _ in first }))
        }
    }
}

extension Logger.Level {
    fileprivate init(_ level: PeerTransportLogLevel) {
        self =
            switch level {
            case .debug: .debug
            case .info: .info
            case .warning: .warning
            case .error: .error
            }
    }
}
