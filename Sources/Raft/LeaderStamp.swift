package import RaftCore

/// What only the leader knows, and writes into some commands when it appends them to its log: its own and those that
/// other members pass on to it. A leader overwrites what stands there already; on the way to it nobody fills it in.
package protocol LeaderStamp: AnyObject, Sendable {
    /// Commands that begin with this byte are stamped.
    var commandByte: UInt8 { get }

    /// Called on the consensus stage, in the batch in which the command is appended, while the node leads in `term`.
    func stamp(_ command: UnsafeMutableRawBufferPointer, leading term: Term)
}

extension LeaderStamp {
    /// Whether a proposal's payload holds a command that is stamped.
    func isMeant(for payload: [UInt8]) -> Bool {
        payload.count > ProposalID.encodedBytes && payload[ProposalID.encodedBytes] == commandByte
    }

    func stamp(payload: inout [UInt8], leading term: Term) {
        payload.withUnsafeMutableBytes { bytes in
            stamp(UnsafeMutableRawBufferPointer(rebasing: bytes[ProposalID.encodedBytes...]), leading: term)
        }
    }
}
