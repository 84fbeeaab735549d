internal import ByteCodec
package import RaftCore

/// What the two ends of a connection may have agreed to do differently than version 1 alone says. Each end names what
/// it can, and what both can is in force. Bits that an end does not know are dropped.
package struct PeerFeatures: OptionSet, Hashable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Answers for what was passed on and not taken.
    package static let forwardAnswers = PeerFeatures(rawValue: 1 << 0)
    /// A snapshot whose connection breaks goes on, on another one, where it was.
    package static let resumableSnapshots = PeerFeatures(rawValue: 1 << 1)
    /// Chunks of a snapshot may be compressed, as its source does it.
    package static let compressedSnapshots = PeerFeatures(rawValue: 1 << 2)
}

/// What a connection is for.
package enum ConnectionPurpose: UInt8, Sendable {
    /// Messages from the dialler to the acceptor, for as long as it lasts.
    case messages = 1
    /// One snapshot from the dialler to the acceptor.
    case snapshot = 2
}

/// The dialler's first frame: who it is and whom it means to reach.
package struct PeerHello: Hashable, Sendable {
    package var versions: ClosedRange<UInt8>
    /// As it came: a purpose of a later version must be refused, not taken for garbage.
    package var purpose: UInt8
    package var features: PeerFeatures
    package var cluster: UInt64
    package var from: NodeID
    package var to: NodeID
    /// The data directory that the dialler runs on.
    package var directory: DirectoryID

    package init(
        versions: ClosedRange<UInt8>, purpose: ConnectionPurpose, features: PeerFeatures, cluster: UInt64,
        from: NodeID, to: NodeID, directory: DirectoryID
    ) {
        self.versions = versions
        self.purpose = purpose.rawValue
        self.features = features
        self.cluster = cluster
        self.from = from
        self.to = to
        self.directory = directory
    }

    init(_ reader: inout ByteReader) throws(DecodingError) {
        let lowest = try reader.readByte()
        let highest = try reader.readByte()
        guard lowest <= highest else { throw .invalid("versions \(lowest) to \(highest)") }
        versions = lowest...highest
        purpose = try reader.readByte()
        features = PeerFeatures(rawValue: try reader.readUInt64())
        cluster = try reader.readUInt64()
        from = NodeID(try reader.readUInt64())
        to = NodeID(try reader.readUInt64())
        directory = DirectoryID(try reader.readUInt64())
    }

    func encode(into writer: inout ByteWriter) {
        writer.write(versions.lowerBound)
        writer.write(versions.upperBound)
        writer.write(purpose)
        writer.write(features.rawValue)
        writer.write(cluster)
        writer.write(from.rawValue)
        writer.write(to.rawValue)
        writer.write(directory.rawValue)
    }
}

/// The acceptor's answer when it takes the connection. It names itself, so that the dialler can check too.
package struct PeerWelcome: Hashable, Sendable {
    package var version: UInt8
    package var features: PeerFeatures
    package var cluster: UInt64
    package var node: NodeID
    /// The dialler, as the acceptor understood it.
    package var dialler: NodeID
    /// The data directory that the acceptor runs on.
    package var directory: DirectoryID

    package init(
        version: UInt8, features: PeerFeatures, cluster: UInt64, node: NodeID, dialler: NodeID, directory: DirectoryID
    ) {
        self.version = version
        self.features = features
        self.cluster = cluster
        self.node = node
        self.dialler = dialler
        self.directory = directory
    }

    init(_ reader: inout ByteReader) throws(DecodingError) {
        version = try reader.readByte()
        features = PeerFeatures(rawValue: try reader.readUInt64())
        cluster = try reader.readUInt64()
        node = NodeID(try reader.readUInt64())
        dialler = NodeID(try reader.readUInt64())
        directory = DirectoryID(try reader.readUInt64())
    }

    func encode(into writer: inout ByteWriter) {
        writer.write(version)
        writer.write(features.rawValue)
        writer.write(cluster)
        writer.write(node.rawValue)
        writer.write(dialler.rawValue)
        writer.write(directory.rawValue)
    }
}

/// Why a connection, or a snapshot on it, was not taken.
package enum RefusalCode: UInt8, Sendable {
    case other = 0
    case wrongCluster = 1
    /// The dialler meant somebody else.
    case wrongMember = 2
    /// The acceptor does not know the dialler (yet, or any more).
    case unknownMember = 3
    case incompatibleVersion = 4
    case unknownPurpose = 5
    /// A limit on connections or snapshots is reached.
    case busy = 6
    /// The receiver does not want this snapshot.
    case notWanted = 7
    /// The snapshot could not be stored, or was not what its checksums said.
    case failed = 8
    /// The acceptor knows the dialler with another data directory. What it promised there is forgotten: it could vote
    /// twice in a term, or deny entries that it has acknowledged.
    case anotherDirectory = 9
    /// What the acceptor had of this snapshot's stream, if it ever had any of it, is gone.
    case unknownStream = 10
    /// The dialler was a member, and was removed for good.
    case removedMember = 11
}

extension RefusalCode: CustomStringConvertible {
    package var description: String {
        switch self {
        case .other: "another reason"
        case .wrongCluster: "another cluster"
        case .wrongMember: "another member"
        case .unknownMember: "an unknown member"
        case .incompatibleVersion: "an incompatible version"
        case .unknownPurpose: "an unknown purpose"
        case .busy: "busy"
        case .notWanted: "not wanted"
        case .failed: "failed"
        case .anotherDirectory: "another data directory"
        case .unknownStream: "an unknown stream"
        case .removedMember: "a removed member"
        }
    }
}

package struct PeerRefusal: Hashable, Sendable {
    package var code: RefusalCode
    package var text: String

    package init(_ code: RefusalCode, _ text: String) {
        self.code = code
        self.text = text
    }

    init(_ reader: inout ByteReader, limits: PeerWireLimits) throws(DecodingError) {
        // A code of a later version still refuses.
        code = RefusalCode(rawValue: try reader.readByte()) ?? .other
        let bytes = try reader.readLengthPrefixedArray()
        guard bytes.count <= limits.textBytes else { throw .invalid("a text of \(bytes.count) bytes") }
        // Control characters would end up in the operator's log.
        text = String(decoding: bytes.map { $0 < 0x20 || $0 == 0x7f ? UInt8(ascii: " ") : $0 }, as: UTF8.self)
    }

    func encode(into writer: inout ByteWriter, limits: PeerWireLimits) {
        writer.write(code.rawValue)
        writer.writeLengthPrefixed(Array(text.utf8.prefix(limits.textBytes)))
    }
}

extension PeerHello {
    /// The newest version that both ends speak.
    package func newestCommonVersion(with own: ClosedRange<UInt8>) -> UInt8? {
        versions.overlaps(own) ? min(versions.upperBound, own.upperBound) : nil
    }
}
