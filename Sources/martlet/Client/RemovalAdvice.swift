import EtcdAPI
import MartletClient

/// Says of a removal that was refused for the majority's sake what would be needed. etcd's error says only that it was.
struct RemovalAdvice {
    let global: GlobalOptions

    private static let refusals = [EtcdError.unhealthy, .memberNotEnoughStarted].map(\.message)
    /// For a member to answer.
    private static let patience = Duration.seconds(1)

    func explained(_ failure: CommandFailure, removing id: UInt64) async -> CommandFailure {
        guard Self.refusals.contains(where: { failure.message.contains($0) }) else { return failure }
        let members: [Etcdserverpb_Member]
        do {
            members = try await global.call { (client) throws(ClientError) in
                try await client.memberList(linearizable: false)
            }.members
        } catch {
            return failure
        }
        var silent: Set<UInt64> = []
        for member in members where !(await answers(member)) { silent.insert(member.id) }
        return CommandFailure(
            message: failure.message + "\n" + Self.sentence(removing: id, of: members, silent: silent),
            exitCode: failure.exitCode)
    }

    static func sentence(removing id: UInt64, of members: [Etcdserverpb_Member], silent: Set<UInt64>) -> String {
        func name(_ member: Etcdserverpb_Member) -> String {
            member.name.isEmpty ? GoText.hex(member.id) : member.name
        }
        let gone = members.first { $0.id == id }.map(name) ?? GoText.hex(id)
        let left = members.filter { !$0.isLearner && $0.id != id }
        guard !left.isEmpty else {
            return "\(gone) is the only member that votes; add another one first (martlet serve --join)"
        }
        let away = left.filter { silent.contains($0.id) }.map(name).joined(separator: ", ")
        let need =
            "Without \(gone) the voters are \(left.map(name).joined(separator: ", ")), and \(left.count / 2 + 1) of "
            + "them have to answer"
        return away.isEmpty
            ? need + "; all do at this moment: ask again in a few seconds"
            : need + "; not answering: \(away). Start what does not answer, or add a member that runs (martlet serve "
                + "--join), before \(gone) goes"
    }

    private func answers(_ member: Etcdserverpb_Member) async -> Bool {
        for url in member.clientUrls {
            guard let endpoint = try? Endpoint(parsing: url) else { continue }
            let answer = await PlainHTTP.send("/version", to: endpoint, timeout: Self.patience)
            if answer?.status == 200 { return true }
        }
        return false
    }
}
