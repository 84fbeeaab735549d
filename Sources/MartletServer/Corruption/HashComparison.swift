import Foundation
import Logging
import MVCC
import NIOCore
import RaftCore
import Replica
import Synchronization

/// Asks all members for their hash of one revision. Blocks; never on an event loop.
struct HashComparison: Sendable {
    /// What came of asking.
    struct Findings: Sendable {
        /// Of those who answered, this member first.
        var hashes: [(member: UInt64, hash: UInt32)]
        /// Who did not, and why.
        var silent: [(member: UInt64, reason: String)] = []
        var members: Int

        var judgement: HashJudgement { HashJudgement(hashes, of: members) }
    }

    struct Patience: Sendable {
        /// For a member that cannot be reached.
        var unreachable = TimeAmount.seconds(2)
        /// For one that has not got so far, or has no state yet.
        var behind = TimeAmount.seconds(5)
        /// For the walk itself.
        var walk = TimeAmount.minutes(30)
    }

    let own: NodeID
    let clusterID: UInt64
    var patience = Patience()
    /// Asks one member; tests answer by themselves.
    var get = Self.get
    var isCancelled: @Sendable () -> Bool = { false }

    static let get: @Sendable (ServerURL, String) -> Result<HTTPAsk.Answer, HTTPAsk.Failure> = { url, path in
        Result { () throws(HTTPAsk.Failure) in try HTTPAsk.ask(url, .init(path: path), timeout: .seconds(2)) }
    }

    /// Compactions may come in between, and then all are asked anew.
    private static let roundsMax = 4

    /// - Returns: nil if the revision has been compacted meanwhile.
    func run(_ view: ReplicaView, at revision: Revision) throws(StateError) -> Findings? {
        let others = view.members.filter { $0.id != own }
        var compaction = view.store.compactRevision
        for _ in 0..<Self.roundsMax {
            guard revision >= compaction else { return nil }
            let question = HashDesk.Question(revision: revision, compaction: compaction)
            let (hash, replies) = try ask(others, question, view.store)
            guard let hash else { return nil }
            let latest = replies.compactMap { $0.answer?.compactRevision }.max() ?? compaction.rawValue
            if latest > compaction.rawValue {
                compaction = Revision(latest)
                continue
            }
            var findings = Findings(hashes: [(own.rawValue, hash)], members: view.members.count)
            for reply in replies {
                if let hash = reply.answer?.hash {
                    findings.hashes.append((reply.member, hash))
                } else {
                    findings.silent.append((reply.member, reply.reason))
                }
            }
            return findings
        }
        return nil
    }

    private struct Reply: Sendable {
        var member: UInt64
        var answer: PeerHash?
        var reason = ""
    }

    /// All at once: each walks through its own state meanwhile.
    private func ask(
        _ others: [Member], _ question: HashDesk.Question, _ store: ReadView
    ) throws(StateError) -> (hash: UInt32?, replies: [Reply]) {
        let replies = Mutex<[Reply]>([])
        let hash = Mutex<Result<UInt32?, StateError>>(.success(nil))
        DispatchQueue.concurrentPerform(iterations: others.count + 1) { place in
            if place == others.count {
                let result = Result { () throws(StateError) in try Self.hash(store, question) }
                hash.withLock { $0 = result }
            } else {
                let reply = ask(others[place], question)
                replies.withLock { $0.append(reply) }
            }
        }
        let sorted = replies.withLock { $0.sorted { $0.member < $1.member } }
        return (try hash.withLock { $0 }.get(), sorted)
    }

    private static func hash(_ store: ReadView, _ question: HashDesk.Question) throws(StateError) -> UInt32? {
        let scan: HashScan
        do throws(RequestError) {
            scan = try store.hashScan(at: question.revision, compactedAt: question.compaction)
        } catch {
            return nil
        }
        return try HashDesk.finish(scan).hash
    }

    private func ask(_ member: Member, _ question: HashDesk.Question) -> Reply {
        let begin = NIODeadline.now()
        var reply = Reply(member: member.id.rawValue)
        let urls = member.peerURLs.compactMap { try? ServerURL(parsing: $0) }
        guard !urls.isEmpty else {
            reply.reason = "its address is not known"
            return reply
        }
        var pause = 0.02
        for attempt in 0... {
            if attempt > 0 {
                Thread.sleep(forTimeInterval: pause)
                pause = min(1, pause * 1.5)
            }
            let limit: TimeAmount
            switch get(urls[attempt % urls.count], PeerHash.path(question)) {
            case .failure(let failure):
                reply.reason = "\(failure)"
                limit = patience.unreachable
            case .success(let answer):
                guard let hash = decode(answer, from: member) else {
                    reply.reason = "it answered something else (HTTP status \(answer.status))"
                    return reply
                }
                switch hash.state {
                case .done:
                    reply.answer = hash
                    return reply
                case .compacted:
                    reply.reason = "it has compacted that revision"
                    return reply
                case .pending, .busy:
                    reply.reason = "it took too long"
                    limit = patience.walk
                case .behind, .starting:
                    reply.reason = "it has not got that far"
                    limit = patience.behind
                }
            }
            guard .now() < begin + limit, !isCancelled() else { return reply }
        }
        return reply
    }

    private func decode(_ answer: HTTPAsk.Answer, from member: Member) -> PeerHash? {
        guard answer.status == 200, answer[PeerRoutes.clusterIDHeader] == hex(clusterID) else { return nil }
        do {
            let hash = try JSONDecoder().decode(PeerHash.self, from: Data(answer.body))
            guard hash.memberID == member.id.rawValue else { return nil }
            if hash.state == .done { guard hash.hash != nil, hash.compactRevision != nil else { return nil } }
            return hash
        } catch {
            return nil
        }
    }
}
