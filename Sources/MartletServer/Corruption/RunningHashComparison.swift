import Foundation
import MVCC
import NIOCore
import RaftCore
import Replica
import Synchronization

/// Asks all members for their running hash after one entry. Costs next to nothing, whatever the state's size. Blocks;
/// never on an event loop.
struct RunningHashComparison: Sendable {
    let own: NodeID
    let clusterID: UInt64
    /// For a member that has not applied the entry yet, and for one that cannot be reached.
    var patience = TimeAmount.seconds(2)
    /// Asks one member; tests answer by themselves.
    var get = HashComparison.get
    var isCancelled: @Sendable () -> Bool = { false }

    func run(
        _ members: [Member], after index: LogIndex, _ hash: RunningHash
    ) -> HashComparison.Findings {
        let others = members.filter { $0.id != own }
        let replies = Mutex<[(member: UInt64, reply: Result<UInt32, HTTPAsk.Failure>)]>([])
        DispatchQueue.concurrentPerform(iterations: others.count) { place in
            let reply = ask(others[place], after: index, since: hash.since)
            replies.withLock { $0.append((others[place].id.rawValue, reply)) }
        }
        var findings = HashComparison.Findings(hashes: [(own.rawValue, hash.value)], members: members.count)
        for (member, reply) in replies.withLock({ $0.sorted { $0.member < $1.member } }) {
            switch reply {
            case .success(let hash): findings.hashes.append((member, hash))
            case .failure(let failure): findings.silent.append((member, "\(failure)"))
            }
        }
        return findings
    }

    private func ask(_ member: Member, after index: LogIndex, since: UInt64) -> Result<UInt32, HTTPAsk.Failure> {
        func failure(_ text: String) -> Result<UInt32, HTTPAsk.Failure> { .failure(HTTPAsk.Failure(description: text)) }
        let urls = member.peerURLs.compactMap { try? ServerURL(parsing: $0) }
        guard !urls.isEmpty else { return failure("its address is not known") }
        let end = NIODeadline.now() + patience
        var attempt = 0
        while true {
            let reason: String
            switch get(urls[attempt % urls.count], PeerRunningHash.path(after: index)) {
            case .failure(let failure): reason = failure.description
            case .success(let answer):
                guard let said = decode(answer, from: member) else {
                    return failure("it answered something else (HTTP status \(answer.status))")
                }
                if said.state == .forgotten { return failure("it no longer knows what it had after that entry") }
                if let hash = said.hash {
                    return said.since == since ? .success(hash) : failure("its running hash began at another entry")
                }
                reason = "it has not got that far"
            }
            attempt += 1
            guard .now() < end, !isCancelled() else { return failure(reason) }
            Thread.sleep(forTimeInterval: 0.05)
        }
    }

    private func decode(_ answer: HTTPAsk.Answer, from member: Member) -> PeerRunningHash? {
        guard answer.status == 200, answer[PeerRoutes.clusterIDHeader] == hex(clusterID) else { return nil }
        do {
            let said = try JSONDecoder().decode(PeerRunningHash.self, from: Data(answer.body))
            guard said.memberID == member.id.rawValue, (said.state == .done) == (said.hash != nil) else { return nil }
            return said
        } catch {
            return nil
        }
    }
}
