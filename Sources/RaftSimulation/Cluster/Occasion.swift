/// Something that a member does now and then, after which a crash or a cut is worth more than at any other time:
/// what it has just promised, or is about to tell, is what the rules are about.
package enum Occasion: UInt8, Sendable {
    case candidacy, election, voteGiven, handover
    /// A change of the configuration leaves the leader; one was applied.
    case configurationSent, configurationApplied
    case snapshotInstalled
    /// The engine has committed a batch; the log may be cut next.
    case flush
    case start
}
