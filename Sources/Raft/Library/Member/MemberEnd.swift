/// How a member came to its end. Outside of the generic ``RaftMember``, so that it is one type for all of them.
enum MemberEnd: Sendable {
    case stopped
    case removed
    case failed(RaftFailure)

    var error: RaftError {
        switch self {
        case .stopped: .stopped
        case .removed: .removed
        case .failed(let failure): .failed(failure)
        }
    }
}
