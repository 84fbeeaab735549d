import RaftCore
import Replica

/// Where in the cluster somebody belongs who asks to join.
enum JoinPlace: Hashable, Sendable {
    /// It has its place: it was added before.
    case own(NodeID)
    /// It is to be added.
    case free
    /// It is to be added in place of this member, which is dead, at whose address it is.
    case swap(NodeID)

    /// Who asks.
    enum Asker: Sendable {
        /// The member itself, which gets to know by the answer who it is. Where it has no data, it must not be taken
        /// for one that has voted and acknowledged.
        case itself
        /// Somebody who speaks of it.
        case another
    }

    /// - Parameter urls: the question's peer URLs, as they are written in the cluster.
    static func find(
        for question: JoinQuestion, at urls: [String], by asker: Asker, in view: ReplicaView
    ) throws(JoinRefusal) -> JoinPlace {
        let name = question.name
        let replaced = try replaced(by: question, in: view)
        if let known = question.memberID {
            return .own(try knownMember(known, at: urls, in: view))
        }
        let wanted = Set(urls)
        if let member = view.members.first(where: { !wanted.isDisjoint(with: $0.peerURLs) }) {
            let place = "\(description(of: member)) of the cluster \(hex(view.clusterID))"
            if asker == .another, wanted == Set(member.peerURLs), name.isEmpty || !member.isStarted
                || member.name == name
            {
                return .own(member.id)
            }
            if asker == .itself, wanted == Set(member.peerURLs), !member.isStarted {
                try checkName(name, besides: [member.id, replaced?.id], in: view)
                return .own(member.id)
            }
            if let replaced, replaced.id == member.id { return .swap(member.id) }
            guard member.name == name, wanted == Set(member.peerURLs) else {
                throw JoinRefusal(
                    .addressInUse,
                    "\(urls.joined(separator: ",")) is the address of \(place); give this one peer URLs of its own")
            }
            throw JoinRefusal(
                .startedBefore,
                "\(place) has been started before, and has voted and acknowledged what the data directory that asks "
                    + "does not hold. Start it with its own data directory; where that is lost, add --replace \(name) "
                    + "to take its place as a new member")
        }
        try checkName(name, besides: [replaced?.id], in: view)
        return .free
    }

    private static func replaced(by question: JoinQuestion, in view: ReplicaView) throws(JoinRefusal) -> Member? {
        guard let text = question.replaces, question.memberID == nil else { return nil }
        let urls = Set(question.peerURLs)
        let candidates = view.members(called: text)
        // One that has begun to take its place may be called like it.
        let others = candidates.filter { $0.isStarted || Set($0.peerURLs) != urls }
        guard others.count <= 1 else {
            let ids = others.map { hex($0.id.rawValue) }.joined(separator: ", ")
            throw JoinRefusal(
                .unknownMember, "there are several members called \(text); name the one to replace by its id: \(ids)")
        }
        if let member = others.first { return member }
        // Taken away already, by the change that gave this one its place.
        if view.members.contains(where: { Set($0.peerURLs) == urls && !$0.isStarted }) { return nil }
        throw JoinRefusal(
            .unknownMember, "there is no member \(text) to replace; the members are \(list(view.members))")
    }

    private static func knownMember(
        _ text: String, at urls: [String], in view: ReplicaView
    ) throws(JoinRefusal) -> NodeID {
        guard let number = UInt64(text, radix: 16) else {
            throw JoinRefusal(.badRequest, "\"\(text)\" is no member's id, which is in hexadecimal")
        }
        guard let member = view.members.first(where: { $0.id.rawValue == number }) else {
            throw JoinRefusal(
                .removed,
                "the cluster \(hex(view.clusterID)) has no member \(text) (any more); to take part again, start with "
                    + "an empty directory")
        }
        guard Set(member.peerURLs) == Set(urls) else {
            throw JoinRefusal(
                .addressInUse,
                "\(description(of: member)) is at \(member.peerURLs.joined(separator: ",")) for the cluster, not at "
                    + "\(urls.joined(separator: ",")), and has not got its state yet; start it where it was added")
        }
        return member.id
    }

    private static func checkName(
        _ name: String, besides ids: [NodeID?], in view: ReplicaView
    ) throws(JoinRefusal) {
        guard let other = view.members.first(where: { $0.name == name && !name.isEmpty && !ids.contains($0.id) })
        else { return }
        throw JoinRefusal(
            .nameInUse,
            "the name \(name) is that of \(description(of: other)) at \(other.peerURLs.joined(separator: ",")); choose "
                + "another --name, or, if this one is to take its place, add --replace \(name)")
    }

    static func description(of member: Member) -> String {
        "member \(member.name.isEmpty ? "" : member.name + " ")(\(hex(member.id.rawValue)))"
    }

    static func list(_ members: [Member]) -> String {
        members.map { "\($0.name.isEmpty ? hex($0.id.rawValue) : $0.name) at \($0.peerURLs.joined(separator: ","))" }
            .joined(separator: "; ")
    }
}
