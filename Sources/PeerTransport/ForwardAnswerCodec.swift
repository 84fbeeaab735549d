import ByteCodec
import RaftCore

/// ``ForwardAnswer`` as bytes: `Documentation/formats/peer-protocol.md`, "Answers". They are rare, so they are written
/// in two steps.
enum ForwardAnswerCodec {
    private enum Kind: UInt8 {
        case proposalsRefused = 0
        case configurationChangeRefused = 1
        case transferRefused = 2
        case transferEnded = 3
    }

    static func encode(_ answer: ForwardAnswer) -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: 32)
        switch answer {
        case .proposalsRefused(let numbers, let reason):
            writer.write(Kind.proposalsRefused.rawValue)
            writer.write(code(of: reason))
            writer.writeVarint(UInt64(numbers.count))
            for number in numbers { writer.write(number) }
        case .configurationChangeRefused(let number, let reason):
            writer.write(Kind.configurationChangeRefused.rawValue)
            writer.write(number)
            encode(reason, into: &writer)
        case .transferRefused(let target, let reason):
            writer.write(Kind.transferRefused.rawValue)
            writer.write(target?.rawValue ?? 0)
            writer.write(code(of: reason))
        case .transferEnded(let target, let outcome):
            writer.write(Kind.transferEnded.rawValue)
            writer.write(target.rawValue)
            writer.write(code(of: outcome))
        }
        return writer.finish()
    }

    static func decode(
        _ reader: inout ByteReader, allowance: inout MessageCodec.Allowance
    ) throws(DecodingError) -> ForwardAnswer {
        let byte = try reader.readByte()
        guard let kind = Kind(rawValue: byte) else { throw .invalid("an answer of kind \(byte)") }
        switch kind {
        case .proposalsRefused:
            let reason = try named(refusalReasons, try reader.readByte(), "a refusal")
            let count = try reader.readVarint()
            guard count <= UInt64(reader.remaining / 8) else {
                throw .truncated(needed: Int(clamping: count), available: reader.remaining)
            }
            guard count <= UInt64(allowance.entries) else { throw .invalid("\(count) numbers are too many") }
            allowance.entries -= Int(count)
            var numbers: [UInt64] = []
            numbers.reserveCapacity(Int(count))
            for _ in 0..<count { numbers.append(try reader.readUInt64()) }
            return .proposalsRefused(numbers, reason: reason)
        case .configurationChangeRefused:
            let number = try reader.readUInt64()
            return .configurationChangeRefused(
                number, reason: try decodeConfigurationRefusal(&reader, allowance: &allowance))
        case .transferRefused:
            let target = try reader.readUInt64()
            let reason = try named(transferRefusals, try reader.readByte(), "a refused transfer")
            return .transferRefused(to: target == 0 ? nil : NodeID(target), reason: reason)
        case .transferEnded:
            let target = NodeID(try reader.readUInt64())
            return .transferEnded(
                to: target, outcome: try named(transferOutcomes, try reader.readByte(), "a transfer's end"))
        }
    }

    // MARK: Codes: a reason's code is its place here

    private static let refusalReasons: [RefusalReason] = [
        .noLeader, .transferring, .tooManyUncommitted, .notMember, .forwardingDisabled, .tooManyReads,
    ]

    private static func code(of reason: RefusalReason) -> UInt8 {
        switch reason {
        case .noLeader: 0
        case .transferring: 1
        case .tooManyUncommitted: 2
        case .notMember: 3
        case .forwardingDisabled: 4
        case .tooManyReads: 5
        }
    }

    private static let transferRefusals: [TransferRefusal] = [
        .noLeader, .notVoter, .alreadyLeader, .alreadyUnderWay, .nobodySuitable, .leaderRemoved,
    ]

    private static func code(of reason: TransferRefusal) -> UInt8 {
        switch reason {
        case .noLeader: 0
        case .notVoter: 1
        case .alreadyLeader: 2
        case .alreadyUnderWay: 3
        case .nobodySuitable: 4
        case .leaderRemoved: 5
        }
    }

    private static let transferOutcomes: [TransferOutcome] = [
        .handedOver, .timedOut, .targetRemoved, .superseded, .leadershipLost,
    ]

    private static func code(of outcome: TransferOutcome) -> UInt8 {
        switch outcome {
        case .handedOver: 0
        case .timedOut: 1
        case .targetRemoved: 2
        case .superseded: 3
        case .leadershipLost: 4
        }
    }

    private static func named<Value>(_ values: [Value], _ code: UInt8, _ what: String) throws(DecodingError) -> Value {
        guard Int(code) < values.count else { throw .invalid("\(what) with the unknown code \(code)") }
        return values[Int(code)]
    }

    // MARK: Why a change of the configuration was refused

    /// Bytes of a reason for people.
    private static let textBytesMax = 256

    private static func encode(_ refusal: ConfigurationRefusal, into writer: inout ByteWriter) {
        func write(_ text: String) { writer.writeLengthPrefixed(Array(text.utf8.prefix(textBytesMax))) }
        func write(_ nodes: [NodeID]) {
            writer.writeVarint(UInt64(nodes.count))
            for node in nodes { writer.write(node.rawValue) }
        }
        switch refusal {
        case .undecodable(let text):
            writer.write(0 as UInt8)
            write(text)
        case .pending(let index, let applied):
            writer.write(1 as UInt8)
            writer.writeVarint(index.rawValue)
            writer.writeVarint(applied.rawValue)
        case .isJoint: writer.write(2 as UInt8)
        case .isNotJoint: writer.write(3 as UInt8)
        case .removesAllVoters: writer.write(4 as UInt8)
        case .unknownMembers(let nodes):
            writer.write(5 as UInt8)
            write(nodes)
        case .losesQuorum(let nodes):
            writer.write(6 as UInt8)
            write(nodes)
        case .impossible(let text):
            writer.write(7 as UInt8)
            write(text)
        case .notCaughtUp(let nodes):
            writer.write(8 as UInt8)
            write(nodes)
        }
    }

    private static func decodeConfigurationRefusal(
        _ reader: inout ByteReader, allowance: inout MessageCodec.Allowance
    ) throws(DecodingError) -> ConfigurationRefusal {
        let code = try reader.readByte()
        switch code {
        case 0: return .undecodable(try decodeText(&reader))
        case 1:
            let index = LogIndex(try reader.readVarint())
            return .pending(at: index, applied: LogIndex(try reader.readVarint()))
        case 2: return .isJoint
        case 3: return .isNotJoint
        case 4: return .removesAllVoters
        case 5: return .unknownMembers(try MessageCodec.decodeNodes(&reader, allowance: &allowance))
        case 6: return .losesQuorum(silent: try MessageCodec.decodeNodes(&reader, allowance: &allowance))
        case 7: return .impossible(try decodeText(&reader))
        case 8: return .notCaughtUp(try MessageCodec.decodeNodes(&reader, allowance: &allowance))
        default: throw .invalid("a refused change with the unknown code \(code)")
        }
    }

    private static func decodeText(_ reader: inout ByteReader) throws(DecodingError) -> String {
        let bytes = try reader.readLengthPrefixedArray()
        guard bytes.count <= textBytesMax else { throw .invalid("a text of \(bytes.count) bytes") }
        // Control characters would end up in the operator's log.
        return String(decoding: bytes.map { $0 < 0x20 || $0 == 0x7f ? UInt8(ascii: " ") : $0 }, as: UTF8.self)
    }
}
