import NIOCore
import RaftCore
import Replica

/// How long this member has not been connected to each of the others. Looked at once a second or so.
struct MemberWatch: Sendable {
    enum News: Hashable, Sendable {
        /// Has been silent for ``silentTime``.
        case silent(Member)
        /// Was called silent, and is connected again.
        case back(Member, silentFor: TimeAmount)
    }

    /// A restart takes less.
    static let silentTime = TimeAmount.seconds(10)
    /// Who has not looked for so long was stopped itself, and knows nothing of the time in between.
    static let gapMax = TimeAmount.seconds(5)

    private var silentSince: [NodeID: NIODeadline] = [:]
    private var called: Set<NodeID> = []
    private var lookedAt: NIODeadline?

    mutating func look(
        at members: [Member], besides own: NodeID, isConnected: (NodeID) -> Bool, now: NIODeadline
    ) -> [News] {
        if let lookedAt, now - lookedAt > Self.gapMax {
            for id in silentSince.keys { silentSince[id] = now }
        }
        lookedAt = now
        var news: [News] = []
        for member in members where member.id != own {
            if isConnected(member.id) {
                let since = silentSince.removeValue(forKey: member.id)
                if called.remove(member.id) != nil { news.append(.back(member, silentFor: now - (since ?? now))) }
                continue
            }
            let since = silentSince[member.id] ?? now
            silentSince[member.id] = since
            if now - since >= Self.silentTime, called.insert(member.id).inserted { news.append(.silent(member)) }
        }
        let present = Set(members.map(\.id))
        silentSince = silentSince.filter { present.contains($0.key) }
        called.formIntersection(present)
        return news
    }

    /// Those that were called silent before, for one who has not told of them.
    func silentOnes(_ members: [Member]) -> [News] {
        members.filter { called.contains($0.id) }.map { .silent($0) }
    }

    /// nil: it is connected, or nobody has looked.
    func silence(of id: NodeID, now: NIODeadline) -> TimeAmount? { silentSince[id].map { now - $0 } }
}
