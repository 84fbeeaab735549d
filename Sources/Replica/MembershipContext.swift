package import ByteCodec
import RaftCore

/// What goes with a change of the configuration: the row of the member that it concerns, and the membership that the
/// change was judged by.
///
/// Whoever asks for a change judges it by what it knows (no two members with one address, no more learners than
/// allowed) and may be out of date. So it says by what it judged, and if the membership is another one when the change
/// is applied, all members alike let it change nothing, and it is judged anew.
package struct MembershipContext: Hashable, Sendable {
    /// Name and client URLs are a member's own to tell: of somebody who is known already, only the peer URLs count.
    package var member: Member?
    /// ``ReplicaView/membershipMark``; nil where the change is right whatever the membership is.
    package var basis: UInt64?

    package init(member: Member? = nil, basis: UInt64? = nil) {
        self.member = member
        self.basis = basis
    }

    private static let hasBasis: UInt8 = 1
    private static let hasMember: UInt8 = 2

    /// What there is u8 (bit 0 a basis, bit 1 a member); basis u64; the member, to the end. Nothing at all for nothing.
    package func encode() -> [UInt8] {
        guard member != nil || basis != nil else { return [] }
        var writer = ByteWriter(reservingCapacity: 128)
        writer.write((basis == nil ? 0 : Self.hasBasis) | (member == nil ? 0 : Self.hasMember))
        if let basis { writer.write(basis) }
        if let member { writer.write(member.encode()) }
        return writer.finish()
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(DecodingError) {
        guard !bytes.isEmpty else { return }
        var reader = ByteReader(bytes)
        let parts = try reader.readByte()
        guard parts & ~(Self.hasBasis | Self.hasMember) == 0, parts != 0 else {
            throw .invalid("a membership context of kind \(parts)")
        }
        if parts & Self.hasBasis != 0 { basis = try reader.readUInt64() }
        if parts & Self.hasMember != 0 {
            member = try Member(decoding: UnsafeRawBufferPointer(rebasing: bytes[(bytes.count - reader.remaining)...]))
        } else {
            try reader.expectEnd()
        }
    }
}

extension ReplicaView {
    /// The same for the same members in the same parts at the same addresses. FNV-1a: members of all builds agree on
    /// it, since it is compared when a change is applied.
    package var membershipMark: UInt64 { Self.membershipMark(configuration, members) }

    static func membershipMark(_ configuration: Configuration, _ members: [Member]) -> UInt64 {
        var writer = ByteWriter(reservingCapacity: 256)
        writer.writeLengthPrefixed(configuration.encode())
        for member in members {
            writer.write(member.id.rawValue)
            writer.writeVarint(UInt64(member.peerURLs.count))
            for url in member.peerURLs { writer.writeLengthPrefixed(Array(url.utf8)) }
        }
        return writer.finish().reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
