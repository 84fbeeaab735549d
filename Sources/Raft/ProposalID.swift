package import RaftCore

/// Names a proposal across the cluster, at the head of each command in the log: who proposed it, and the proposer's own
/// number for it. The proposer finds its waiting client by it when the entry is applied; nobody proposes again what was
/// proposed once.
package struct ProposalID: Hashable, Sendable {
    package static let encodedBytes = 16

    package var origin: NodeID
    package var sequence: UInt64

    package init(origin: NodeID, sequence: UInt64) {
        self.origin = origin
        self.sequence = sequence
    }

    /// Fills in the first ``encodedBytes`` bytes, which the command's encoder left free.
    package func write(into payload: inout [UInt8]) {
        precondition(payload.count >= Self.encodedBytes, "a command without room for its proposal's id")
        payload.withUnsafeMutableBytes { bytes in
            bytes.storeBytes(of: origin.rawValue.littleEndian, toByteOffset: 0, as: UInt64.self)
            bytes.storeBytes(of: sequence.littleEndian, toByteOffset: 8, as: UInt64.self)
        }
    }

    /// What `payload` carries behind the id: the state machine's command. nil if nothing stands there.
    package static func command(of payload: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard payload.count > encodedBytes else { return nil }
        return UnsafeRawBufferPointer(rebasing: payload[encodedBytes...])
    }

    /// nil if there are too few bytes.
    package init?(reading payload: UnsafeRawBufferPointer) {
        guard payload.count >= Self.encodedBytes else { return nil }
        origin = NodeID(UInt64(littleEndian: payload.loadUnaligned(fromByteOffset: 0, as: UInt64.self)))
        sequence = UInt64(littleEndian: payload.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }
}
