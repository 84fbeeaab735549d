public import RaftCore

/// Why a member did not do what it was asked.
public enum RaftError: Error, Hashable, Sendable {
    // MARK: Requests

    /// No leader was found in time. The command was not proposed, and can be proposed again.
    case noLeader
    /// This member does not lead, and was told not to forward (``RaftOptions/forwardsProposals``). Nothing was
    /// proposed.
    case notLeader(leader: NodeID?)
    /// No answer in time. Whether the command takes effect is **unknown**: it may have, or may yet.
    case timedOut
    /// The task that waited was cancelled. Whether the command takes effect is **unknown**.
    case cancelled
    /// Too much is waiting already; nothing was proposed. Slow down and try again.
    case overloaded
    /// The command is larger than ``RaftOptions/maxCommandBytes``.
    case tooLarge(bytes: Int, limit: Int)
    /// The state machine refused the command (``CommandRejected``): it was committed, and changed nothing.
    case rejected(String)
    /// The member was stopped while the request was under way. Whether a command takes effect is **unknown**.
    case stopped
    /// The member is not running: not started yet, or stopped. Nothing was proposed.
    case notRunning
    /// The member has stopped by itself. Whether a command that was under way takes effect is **unknown**.
    case failed(RaftFailure)
    /// The member is no longer part of the cluster.
    case removed
    /// This member has joined a cluster and not got its state yet: there is nothing to take a snapshot of.
    case noState

    // MARK: Membership

    /// No member has this id.
    case unknownMember(NodeID)
    /// A member with this id is there already; ids are not used twice.
    case memberExists(NodeID)
    /// After the change, too few of the voters could be reached to decide anything: these cannot.
    case wouldLoseQuorum(unreachable: [NodeID])
    /// The change makes no sense, or cannot be made now.
    case membershipRefused(MembershipRefusal)
    /// Leadership did not go where it should. Nothing is lost: whoever leads goes on.
    case transferFailed(TransferFailure)

    // MARK: Starting

    /// Somebody else (another process, or another member in this one) uses the log's directory.
    case directoryInUse(String)
    /// The directory belongs to another member, or to one of another cluster.
    case foreignDirectory(String)
    /// What is in the directory is not what was written there. Nothing was changed.
    case damagedDirectory(String, reason: String)
    /// A recovery of this directory's member was cut off: run
    /// ``RaftMember/recover(id:log:stateMachine:members:clusterName:newClusterName:logger:)`` again.
    case recoveryUnfinished(String)
    /// The member was not recovered, and nothing was changed.
    case recoveryRefused(RecoveryRefusal)
    /// The disk, or the operating system, refused.
    case cannotOpen(String, reason: String)
    case cannotListen(String)
    /// The operating system gave no thread.
    case systemRefused(String)
    case invalidOptions(String)
    /// The option does not change while the member runs. Nothing was changed.
    case optionIsFixed(FixedOption)
    /// A member is started once. Make a new one to start again.
    case alreadyStarted

    /// Whether a command that ended with this error may have taken, or may yet take, effect. A command that must not
    /// take effect twice has to carry something by which the state machine knows it again.
    public var isOutcomeUnknown: Bool {
        switch self {
        case .timedOut, .cancelled, .stopped, .failed: true
        default: false
        }
    }
}

extension RaftError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noLeader: "no leader was found in time; nothing was proposed"
        case .notLeader(let leader): "this member does not lead; \(leader.map { "member \($0) does" } ?? "nobody does")"
        case .timedOut: "no answer in time; whether it took effect is unknown"
        case .cancelled: "cancelled; whether it took effect is unknown"
        case .overloaded: "too much is waiting already"
        case .tooLarge(let bytes, let limit): "a command of \(bytes) bytes, where \(limit) are the most"
        case .rejected(let reason): "rejected by the state machine: \(reason)"
        case .stopped: "the member was stopped; whether it took effect is unknown"
        case .notRunning: "the member is not running"
        case .failed(let failure): "the member has failed: \(failure)"
        case .removed: "the member was removed from the cluster"
        case .noState: "this member has not got its cluster's state yet"
        case .unknownMember(let id): "there is no member \(id)"
        case .memberExists(let id): "member \(id) is there already"
        case .wouldLoseQuorum(let unreachable):
            "the cluster would lose its quorum: "
                + "\(unreachable.map(\.description).joined(separator: ", ")) cannot be reached"
        case .membershipRefused(let reason): "the membership cannot be changed: \(reason)"
        case .transferFailed(let reason): "leadership was not transferred: \(reason)"
        case .directoryInUse(let path): "\(path) is in use by another member"
        case .foreignDirectory(let path): "\(path) belongs to another member or cluster"
        case .damagedDirectory(let path, let reason):
            "\(path) is damaged: \(reason). Nothing was changed; restore it from a copy, or remove the member from the "
                + "cluster and add a new one with an empty directory"
        case .recoveryUnfinished(let path): "a recovery of \(path) was cut off: run it again before the member starts"
        case .recoveryRefused(let reason): "the member was not recovered: \(reason)"
        case .cannotOpen(let path, let reason): "\(path) cannot be opened: \(reason)"
        case .cannotListen(let reason), .systemRefused(let reason): reason
        case .invalidOptions(let reason): "invalid options: \(reason)"
        case .optionIsFixed(let option): "\(option)"
        case .alreadyStarted: "the member was started before"
        }
    }
}

/// Why a member has stopped by itself. It never goes on after one of these: what it would say could be untrue. Nothing
/// that was acknowledged is lost by it; the others go on while there are enough of them.
public struct RaftFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Part: Sendable {
        /// The log could not be written or read.
        case log
        /// The state machine threw, or what it was to apply made no sense.
        case stateMachine
        /// A snapshot could not be written or read.
        case snapshot
        /// The cluster does not take this member for what it says it is.
        case membership
    }
    public var part: Part
    public var reason: String

    init(_ failure: NodeFailure) {
        part =
            switch failure.part {
            case .log: .log
            case .stateMachine: .stateMachine
            case .engine, .snapshot: .snapshot
            case .membership: .membership
            }
        reason = failure.reason
    }

    public var description: String {
        switch part {
        case .log: "log: \(reason)"
        case .stateMachine: "state machine: \(reason)"
        case .snapshot: "snapshot: \(reason)"
        case .membership: "membership: \(reason)"
        }
    }
}
