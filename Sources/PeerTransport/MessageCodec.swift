package import ByteCodec
package import RaftCore

/// Messages between members as bytes: `Documentation/formats/peer-protocol.md`, "Messages".
package enum MessageCodec {
    /// The first byte of every message.
    enum Tag: UInt8 {
        case appendEntries = 1
        case appendAccepted = 2
        case appendRejected = 3
        case heartbeat = 4
        case heartbeatReply = 5
        case vote = 6
        case voteReply = 7
        case preVote = 8
        case preVoteReply = 9
        case installSnapshot = 10
        case propose = 11
        case readIndex = 12
        case readIndexReply = 13
        case timeoutNow = 14
        case transferLeadership = 15
        case forwardAnswer = 16
    }

    /// What a frame may still hold. One allowance spans all the messages of a frame.
    package struct Allowance: Sendable {
        var entries: Int
        var configurationMembers: Int

        package init(_ limits: PeerWireLimits) {
            entries = limits.entriesPerFrame
            configurationMembers = limits.configurationMembers
        }
    }

    /// Tag, from, to: what every message starts with before its term.
    static let headBytes = 1 + 8 + 8

    /// An entry's first byte: its kind, and what follows from the entry before it and is therefore left out. The entry
    /// before the first one is the message's previous index and term.
    enum EntryFlags {
        static let kindMask: UInt8 = 0x3f
        static let nextIndex: UInt8 = 0x80
        static let sameTerm: UInt8 = 0x40
    }

    /// How many entries or proposals, or names of such, the message carries.
    package static func entryCount(of message: Message) -> Int {
        switch message.body {
        case .appendEntries(let append): append.entries.count
        case .propose(let proposals): proposals.count
        case .forwardAnswer(.proposalsRefused(let numbers, _)): numbers.count
        default: 0
        }
    }
}

// MARK: Encoding

extension MessageCodec {
    /// Exactly how many bytes ``encode(_:into:)`` writes.
    package static func encodedSize(of message: Message) -> Int {
        headBytes + varintLength(message.term.rawValue) + bodySize(message.body)
    }

    private static func bodySize(_ body: Message.Body) -> Int {
        switch body {
        case .appendEntries(let append): return appendSize(append)
        case .appendEntriesReply(let reply):
            switch reply.outcome {
            case .accepted: return size(reply.index)
            case .rejected(let index, let term): return size(reply.index) + size(index) + size(term)
            }
        case .heartbeat(let heartbeat): return size(heartbeat.commit) + varintLength(heartbeat.readSequence)
        case .heartbeatReply(let reply): return varintLength(reply.readSequence)
        case .vote(let request), .preVote(let request): return size(request.lastIndex) + size(request.lastTerm) + 1
        case .voteReply, .preVoteReply: return 1
        case .installSnapshot(let description):
            return size(description.index) + size(description.term) + configurationSize(description.configuration)
        case .propose(let proposals):
            var total = varintLength(UInt64(proposals.count))
            for proposal in proposals { total += 1 + lengthPrefixedSize(proposal.payload.count) }
            return total
        case .readIndex: return 8
        case .readIndexReply(_, let index): return 8 + size(index)
        case .timeoutNow: return 0
        case .transferLeadership: return 8
        case .forwardAnswer(let answer): return ForwardAnswerCodec.encode(answer).count
        }
    }

    private static func size(_ index: LogIndex) -> Int { varintLength(index.rawValue) }
    private static func size(_ term: Term) -> Int { varintLength(term.rawValue) }
    private static func lengthPrefixedSize(_ count: Int) -> Int { varintLength(UInt64(count)) + count }

    private static func appendSize(_ append: AppendEntries) -> Int {
        var total = size(append.previousIndex) + size(append.previousTerm) + size(append.commit)
        total += varintLength(UInt64(append.entries.count))
        var index = append.previousIndex.rawValue
        var term = append.previousTerm.rawValue
        // Spans lend the entries: a loop over the array would retain and release every payload.
        let entries = append.entries.span
        for position in entries.indices {
            index &+= 1
            total += 1 + lengthPrefixedSize(entries[position].payload.count)
            if entries[position].index.rawValue != index {
                index = entries[position].index.rawValue
                total += varintLength(index)
            }
            if entries[position].term.rawValue != term {
                term = entries[position].term.rawValue
                total += varintLength(term)
            }
        }
        return total
    }

    private static func configurationSize(_ configuration: Configuration) -> Int {
        1 + listSize(configuration.voters) + listSize(configuration.outgoingVoters)
            + listSize(configuration.learners) + listSize(configuration.nextLearners)
    }

    private static func listSize(_ nodes: [NodeID]) -> Int { varintLength(UInt64(nodes.count)) + 8 * nodes.count }

    /// Writes the message at the start of `memory`, which has room for ``encodedSize(of:)``; says how many bytes it
    /// took.
    @discardableResult
    package static func encode(_ message: Message, into memory: UnsafeMutableRawBufferPointer) -> Int {
        var writer = unsafe FixedWriter(memory)
        encode(message, into: &writer)
        return writer.count
    }

    static func encode(_ message: Message, into writer: inout FixedWriter) {
        writer.write(tag(of: message.body).rawValue)
        writer.write(message.from.rawValue)
        writer.write(message.to.rawValue)
        writer.writeVarint(message.term.rawValue)
        switch message.body {
        case .appendEntries(let append): encode(append, into: &writer)
        case .appendEntriesReply(let reply):
            writer.writeVarint(reply.index.rawValue)
            if case .rejected(let index, let term) = reply.outcome {
                writer.writeVarint(index.rawValue)
                writer.writeVarint(term.rawValue)
            }
        case .heartbeat(let heartbeat):
            writer.writeVarint(heartbeat.commit.rawValue)
            writer.writeVarint(heartbeat.readSequence)
        case .heartbeatReply(let reply): writer.writeVarint(reply.readSequence)
        case .vote(let request), .preVote(let request):
            writer.writeVarint(request.lastIndex.rawValue)
            writer.writeVarint(request.lastTerm.rawValue)
            writer.write(request.isTransfer ? 1 : 0 as UInt8)
        case .voteReply(let reply), .preVoteReply(let reply): writer.write(reply.isGranted ? 1 : 0 as UInt8)
        case .installSnapshot(let description):
            writer.writeVarint(description.index.rawValue)
            writer.writeVarint(description.term.rawValue)
            encode(description.configuration, into: &writer)
        case .propose(let proposals):
            writer.writeVarint(UInt64(proposals.count))
            for proposal in proposals {
                writer.write(proposal.kind.rawValue)
                writer.writeLengthPrefixed(proposal.payload)
            }
        case .readIndex(let read): writer.write(read.rawValue)
        case .readIndexReply(let read, let index):
            writer.write(read.rawValue)
            writer.writeVarint(index.rawValue)
        case .timeoutNow: break
        case .transferLeadership(let target): writer.write(target.rawValue)
        case .forwardAnswer(let answer): writer.write(ForwardAnswerCodec.encode(answer))
        }
    }

    private static func tag(of body: Message.Body) -> Tag {
        switch body {
        case .appendEntries: .appendEntries
        case .appendEntriesReply(let reply): reply.outcome == .accepted ? .appendAccepted : .appendRejected
        case .heartbeat: .heartbeat
        case .heartbeatReply: .heartbeatReply
        case .vote: .vote
        case .voteReply: .voteReply
        case .preVote: .preVote
        case .preVoteReply: .preVoteReply
        case .installSnapshot: .installSnapshot
        case .propose: .propose
        case .readIndex: .readIndex
        case .readIndexReply: .readIndexReply
        case .timeoutNow: .timeoutNow
        case .transferLeadership: .transferLeadership
        case .forwardAnswer: .forwardAnswer
        }
    }

    private static func encode(_ append: AppendEntries, into writer: inout FixedWriter) {
        writer.writeVarint(append.previousIndex.rawValue)
        writer.writeVarint(append.previousTerm.rawValue)
        writer.writeVarint(append.commit.rawValue)
        writer.writeVarint(UInt64(append.entries.count))
        var index = append.previousIndex.rawValue
        var term = append.previousTerm.rawValue
        let entries = append.entries.span
        for position in entries.indices {
            index &+= 1
            let isNext = entries[position].index.rawValue == index
            let isSameTerm = entries[position].term.rawValue == term
            var flags = entries[position].kind.rawValue
            if isNext { flags |= EntryFlags.nextIndex }
            if isSameTerm { flags |= EntryFlags.sameTerm }
            writer.write(flags)
            if !isNext {
                index = entries[position].index.rawValue
                writer.writeVarint(index)
            }
            if !isSameTerm {
                term = entries[position].term.rawValue
                writer.writeVarint(term)
            }
            writer.writeLengthPrefixed(entries[position].payload)
        }
    }

    private static func encode(_ configuration: Configuration, into writer: inout FixedWriter) {
        writer.write(configuration.leavesAutomatically ? 1 : 0 as UInt8)
        for nodes in [
            configuration.voters, configuration.outgoingVoters, configuration.learners, configuration.nextLearners,
        ] {
            writer.writeVarint(UInt64(nodes.count))
            for node in nodes { writer.write(node.rawValue) }
        }
    }
}

// MARK: Decoding

extension MessageCodec {
    /// Reads one message. Payloads are copied out, once each; nothing borrowed is kept.
    package static func decode(
        _ reader: inout ByteReader, allowance: inout Allowance
    ) throws(DecodingError) -> Message {
        let byte = try reader.readByte()
        guard let tag = Tag(rawValue: byte) else { throw .invalid("message tag \(byte)") }
        let from = NodeID(try reader.readUInt64())
        let to = NodeID(try reader.readUInt64())
        let term = Term(try reader.readVarint())
        return Message(
            from: from, to: to, term: term, body: try decodeBody(tag, from: &reader, allowance: &allowance))
    }

    private static func decodeBody(
        _ tag: Tag, from reader: inout ByteReader, allowance: inout Allowance
    ) throws(DecodingError) -> Message.Body {
        switch tag {
        case .appendEntries: return .appendEntries(try decodeAppend(&reader, allowance: &allowance))
        case .appendAccepted:
            return .appendEntriesReply(AppendEntriesReply(index: try decodeIndex(&reader), outcome: .accepted))
        case .appendRejected:
            let index = try decodeIndex(&reader)
            let hintIndex = try decodeIndex(&reader)
            let hintTerm = Term(try reader.readVarint())
            return .appendEntriesReply(
                AppendEntriesReply(index: index, outcome: .rejected(hintIndex: hintIndex, hintTerm: hintTerm)))
        case .heartbeat:
            let commit = try decodeIndex(&reader)
            return .heartbeat(Heartbeat(commit: commit, readSequence: try reader.readVarint()))
        case .heartbeatReply: return .heartbeatReply(HeartbeatReply(readSequence: try reader.readVarint()))
        case .vote: return .vote(try decodeVote(&reader))
        case .preVote: return .preVote(try decodeVote(&reader))
        case .voteReply: return .voteReply(VoteReply(isGranted: try decodeBool(&reader)))
        case .preVoteReply: return .preVoteReply(VoteReply(isGranted: try decodeBool(&reader)))
        case .installSnapshot:
            let index = try decodeIndex(&reader)
            let term = Term(try reader.readVarint())
            let configuration = try decodeConfiguration(&reader, allowance: &allowance)
            return .installSnapshot(SnapshotDescription(index: index, term: term, configuration: configuration))
        case .propose: return .propose(try decodeProposals(&reader, allowance: &allowance))
        case .readIndex: return .readIndex(ReadID(try reader.readUInt64()))
        case .readIndexReply:
            let read = ReadID(try reader.readUInt64())
            return .readIndexReply(read, try decodeIndex(&reader))
        case .timeoutNow: return .timeoutNow
        case .transferLeadership: return .transferLeadership(to: NodeID(try reader.readUInt64()))
        case .forwardAnswer: return .forwardAnswer(try ForwardAnswerCodec.decode(&reader, allowance: &allowance))
        }
    }

    private static func decodeIndex(_ reader: inout ByteReader) throws(DecodingError) -> LogIndex {
        LogIndex(try reader.readVarint())
    }

    private static func decodeBool(_ reader: inout ByteReader) throws(DecodingError) -> Bool {
        let byte = try reader.readByte()
        guard byte <= 1 else { throw .invalid("a truth value of \(byte)") }
        return byte == 1
    }

    private static func decodeVote(_ reader: inout ByteReader) throws(DecodingError) -> VoteRequest {
        let lastIndex = try decodeIndex(&reader)
        let lastTerm = Term(try reader.readVarint())
        return VoteRequest(lastIndex: lastIndex, lastTerm: lastTerm, isTransfer: try decodeBool(&reader))
    }

    private static func decodeKind(_ byte: UInt8) throws(DecodingError) -> EntryKind {
        guard let kind = EntryKind(rawValue: byte) else { throw .invalid("entry kind \(byte)") }
        return kind
    }

    /// A count of entries, each of at least two bytes: so many must be left, and allowed.
    private static func decodeEntryCount(
        _ reader: inout ByteReader, allowance: inout Allowance
    ) throws(DecodingError) -> Int {
        let count = try reader.readVarint()
        guard count <= UInt64(reader.remaining / 2) else {
            throw .truncated(needed: Int(clamping: count), available: reader.remaining)
        }
        guard count <= UInt64(allowance.entries) else { throw .invalid("\(count) entries are too many") }
        allowance.entries -= Int(count)
        return Int(count)
    }

    private static func decodeAppend(
        _ reader: inout ByteReader, allowance: inout Allowance
    ) throws(DecodingError) -> AppendEntries {
        let previousIndex = try decodeIndex(&reader)
        let previousTerm = Term(try reader.readVarint())
        let commit = try decodeIndex(&reader)
        let count = try decodeEntryCount(&reader, allowance: &allowance)
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        var index = previousIndex.rawValue
        var term = previousTerm.rawValue
        for _ in 0..<count {
            let flags = try reader.readByte()
            if flags & EntryFlags.nextIndex != 0 { index &+= 1 } else { index = try reader.readVarint() }
            if flags & EntryFlags.sameTerm == 0 { term = try reader.readVarint() }
            let kind = try decodeKind(flags & EntryFlags.kindMask)
            entries.append(
                Entry(
                    index: LogIndex(index), term: Term(term), kind: kind,
                    payload: try reader.readLengthPrefixedArray()))
        }
        return AppendEntries(
            previousIndex: previousIndex, previousTerm: previousTerm, commit: commit, entries: entries)
    }

    private static func decodeProposals(
        _ reader: inout ByteReader, allowance: inout Allowance
    ) throws(DecodingError) -> [Proposal] {
        let count = try decodeEntryCount(&reader, allowance: &allowance)
        var proposals: [Proposal] = []
        proposals.reserveCapacity(count)
        for _ in 0..<count {
            let kind = try decodeKind(try reader.readByte())
            proposals.append(Proposal(kind: kind, payload: try reader.readLengthPrefixedArray()))
        }
        return proposals
    }

    private static func decodeConfiguration(
        _ reader: inout ByteReader, allowance: inout Allowance
    ) throws(DecodingError) -> Configuration {
        let leavesAutomatically = try decodeBool(&reader)
        let voters = try decodeSortedNodes(&reader, allowance: &allowance)
        let outgoing = try decodeSortedNodes(&reader, allowance: &allowance)
        let learners = try decodeSortedNodes(&reader, allowance: &allowance)
        let next = try decodeSortedNodes(&reader, allowance: &allowance)
        return Configuration(
            voters: voters, outgoingVoters: outgoing, learners: learners, nextLearners: next,
            leavesAutomatically: leavesAutomatically)
    }

    private static func decodeSortedNodes(
        _ reader: inout ByteReader, allowance: inout Allowance
    ) throws(DecodingError) -> [NodeID] {
        let nodes = try decodeNodes(&reader, allowance: &allowance)
        for place in nodes.indices.dropFirst() where nodes[place - 1] >= nodes[place] {
            throw .invalid("members out of order")
        }
        return nodes
    }

    /// In any order.
    static func decodeNodes(
        _ reader: inout ByteReader, allowance: inout Allowance
    ) throws(DecodingError) -> [NodeID] {
        let count = try reader.readVarint()
        guard count <= UInt64(reader.remaining / 8) else {
            throw .truncated(needed: Int(clamping: count), available: reader.remaining)
        }
        guard count <= UInt64(allowance.configurationMembers) else { throw .invalid("\(count) members are too many") }
        allowance.configurationMembers -= Int(count)
        var nodes: [NodeID] = []
        nodes.reserveCapacity(Int(count))
        for _ in 0..<count { nodes.append(NodeID(try reader.readUInt64())) }
        return nodes
    }
}
