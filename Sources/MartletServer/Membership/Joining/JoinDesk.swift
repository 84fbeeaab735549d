import EtcdAPI
import Foundation
import NIOCore
import Raft
import RaftCore
import Replica
import Synchronization

/// Takes in members that ask for it, lets them move, and lets one take another's place. Any member does that, on the
/// event loop of whoever asks; what is decided is the leader's.
struct JoinDesk: Sendable {
    typealias Respond<Answer> = @Sendable (Swift.Result<Answer, JoinRefusal>) -> Void

    let changes: MemberChanges
    /// This member's, for sentences.
    let name: String
    /// The cluster's token, as far as this member can know it: it is nowhere in the cluster's state, and a member that
    /// was added later need not have been told.
    let token: String?

    /// How long the one that asks has to answer at each of its own peer URLs.
    static let dialTime = TimeAmount.seconds(2)
    /// They are tried one after the other, and ``ClusterEntry/answerTime`` is to be enough for all.
    static let urlsMax = 8
    /// How many may be looked for at a time: what clients ask for must not be a way to have this member dial around.
    static let dialsMax = 16
    private let dials = DialCount()

    private var context: ServiceContext { changes.context }

    init(changes: MemberChanges, _ configuration: ServerConfiguration) {
        self.changes = changes
        name = configuration.name
        token =
            configuration.givenClusterToken
            ?? (configuration.initialClusterState == .new ? configuration.initialCluster.token : nil)
    }

    // MARK: Joining

    func join(
        _ question: JoinQuestion, by asker: JoinPlace.Asker, on eventLoop: any EventLoop,
        _ respond: @escaping Respond<JoinAnswer>
    ) {
        let urls: [String]
        do throws(JoinRefusal) {
            urls = try checked(question)
            try checkReady()
        } catch {
            return respond(.failure(error))
        }
        read(on: eventLoop, respond) { (view) throws(JoinRefusal) in
            let place = try JoinPlace.find(for: question, at: urls, by: asker, in: view)
            take(place, question, urls, view, on: eventLoop, respond)
        }
    }

    private func take(
        _ place: JoinPlace, _ question: JoinQuestion, _ urls: [String], _ view: ReplicaView,
        on eventLoop: any EventLoop, _ respond: @escaping Respond<JoinAnswer>
    ) {
        if case .own(let id) = place {
            return respond(.success(JoinAnswer(view, member: id, name: question.name)))
        }
        // Learners hurt nobody; but nothing would ever come of one that the others cannot reach.
        dialBack(urls, expecting: question.nonce.map { PeerSelf(nonce: $0) }, on: eventLoop) { objection in
            if let objection { return respond(.failure(objection)) }
            change(
                on: eventLoop,
                { (view) throws(EtcdError) in
                    let now = Int64(Date().timeIntervalSince1970)
                    guard case .swap(let old) = place else {
                        return try changes.rules.welcome(peerURLs: urls, now: now, in: view)
                    }
                    return try changes.rules.swap(old, peerURLs: urls, now: now, in: view)
                }
            ) { result in
                switch result {
                case .success(let (view, id)):
                    respond(.success(JoinAnswer(view, member: id, name: question.name)))
                case .failure(.refused(.peerURLExists)):
                    // The swap's old member is alive; or another one has been faster.
                    respond(
                        .failure(
                            JoinRefusal(
                                .addressInUse,
                                "\(urls.joined(separator: ",")) is the address of a member that answers: one that is "
                                    + "alive is replaced by one at another address")))
                case .failure(let failure):
                    var old: NodeID?
                    if case .swap(let id) = place { old = id }
                    respond(.failure(advice.refusal(failure, removing: old)))
                }
            }
        }
    }

    // MARK: Moving

    func move(_ question: MoveQuestion, on eventLoop: any EventLoop, _ respond: @escaping Respond<JoinAnswer>) {
        let urls: [String]
        let id: NodeID
        do throws(JoinRefusal) {
            urls = try parse(question.peerURLs)
            try check(clusterID: question.clusterID)
            guard let number = UInt64(question.memberID, radix: 16) else {
                throw JoinRefusal(.badRequest, "\"\(question.memberID)\" is no member's id, which is in hexadecimal")
            }
            id = NodeID(number)
            try checkReady()
        } catch {
            return respond(.failure(error))
        }
        let expected = PeerSelf(clusterID: hex(context.clusterID), memberID: hex(id.rawValue))
        dialBack(urls, expecting: expected, on: eventLoop) { objection in
            if let objection { return respond(.failure(objection)) }
            change(
                on: eventLoop, { (view) throws(EtcdError) in try changes.rules.update(id, peerURLs: urls, in: view) }
            ) { result in
                respond(
                    result.map { JoinAnswer($0.view, member: id, name: "") }.mapError { advice.refusal($0) })
            }
        }
    }

    // MARK: Replacing

    /// The next step of a replacement. Asked again and again, it comes to its end.
    func replace(_ question: ReplaceQuestion, on eventLoop: any EventLoop, _ respond: @escaping Respond<ReplaceAnswer>)
    {
        let urls: [String]
        do throws(JoinRefusal) {
            urls = try parse(question.peerURLs)
            try checkReady()
        } catch {
            return respond(.failure(error))
        }
        read(on: eventLoop, respond) { (view) throws(JoinRefusal) in
            let step = try replacementStep(question, urls, in: view)
            make(step, question.name ?? "", view, on: eventLoop, respond)
        }
    }

    private struct ReplacementStep {
        var state: ReplaceAnswer.State
        /// nil: nothing is left to be done.
        var judge: MemberChanges.Judge?
        var old: NodeID?
        var new: NodeID?
    }

    private func replacementStep(
        _ question: ReplaceQuestion, _ urls: [String], in view: ReplicaView
    ) throws(JoinRefusal) -> ReplacementStep {
        let rules = changes.rules
        let now = Int64(Date().timeIntervalSince1970)
        let candidates = view.members(called: question.old)
        let new = view.members.first { Set($0.peerURLs) == Set(urls) }
        let old = candidates.first { $0.id != new?.id }
        guard candidates.count(where: { $0.id != new?.id }) <= 1 else {
            throw JoinRefusal(
                .unknownMember, "there are several members called \(question.old); name the one to replace by its id")
        }
        guard let new else {
            guard let old else {
                throw JoinRefusal(
                    .unknownMember,
                    "there is no member \(question.old); the members are \(JoinPlace.list(view.members))")
            }
            return ReplacementStep(
                state: .added,
                judge: { (view) throws(EtcdError) in try rules.welcome(peerURLs: urls, now: now, in: view) },
                old: old.id)
        }
        if view.configuration.learners.contains(new.id) {
            return ReplacementStep(
                state: .replaced,
                judge: { (view) throws(EtcdError) in
                    guard let old, view.members.contains(where: { $0.id == old.id }) else {
                        return try rules.promote(new.id, in: view)
                    }
                    return try rules.replace(old.id, by: new.id, in: view)
                }, old: old?.id, new: new.id)
        }
        if let old {
            return ReplacementStep(
                state: .replaced, judge: { (view) throws(EtcdError) in try rules.remove(old.id, in: view) },
                old: old.id, new: new.id)
        }
        // The one to replace is itself at that address: either it is dead, or it is the new one under its name.
        if candidates.contains(new), new.id != rules.own, rules.connectedFor(new.id) == nil {
            return ReplacementStep(
                state: .added,
                judge: { (view) throws(EtcdError) in try rules.swap(new.id, peerURLs: urls, now: now, in: view) },
                old: new.id)
        }
        return ReplacementStep(state: .replaced, new: new.id)
    }

    private func make(
        _ step: ReplacementStep, _ name: String, _ view: ReplicaView, on eventLoop: any EventLoop,
        _ respond: @escaping Respond<ReplaceAnswer>
    ) {
        func answer(
            _ state: ReplaceAnswer.State, _ view: ReplicaView, _ id: NodeID, _ reason: String? = nil
        ) -> ReplaceAnswer {
            ReplaceAnswer(
                state: state, memberID: hex(id.rawValue), reason: reason,
                initialCluster: JoinAnswer.initialCluster(view.members, member: id, name: name))
        }
        guard let judge = step.judge else { return respond(.success(answer(.replaced, view, step.new ?? NodeID(0)))) }
        change(on: eventLoop, judge) { result in
            switch result {
            case .success(let (view, id)):
                // What was removed is not what is spoken of.
                respond(.success(answer(step.state, view, step.new ?? id)))
            case .failure(.failed(.configurationRefused(.notCaughtUp))):
                let reason = "the new member has not caught up with the leader, or has not been started"
                respond(.success(answer(.waiting, view, step.new ?? NodeID(0), reason)))
            case .failure(let failure): respond(.failure(advice.refusal(failure, removing: step.old)))
            }
        }
    }

    // MARK: Removing

    /// Removes a member; why not, with what would be needed.
    func remove(_ id: NodeID, on eventLoop: any EventLoop, _ respond: @escaping Respond<Void>) {
        do throws(JoinRefusal) {
            try checkReady()
        } catch {
            return respond(.failure(error))
        }
        change(on: eventLoop, { (view) throws(EtcdError) in try changes.rules.remove(id, in: view) }) { result in
            respond(result.map { _ in }.mapError { advice.refusal($0, removing: id) })
        }
    }

    // MARK: What they have in common

    var advice: QuorumAdvice {
        let rules = changes.rules
        return QuorumAdvice(
            view: context.node.published.view, isPresent: { $0 == rules.own || rules.connectedFor($0) != nil })
    }

    /// Goes on with all that was acknowledged before now, or answers why not.
    private func read<Answer>(
        on eventLoop: any EventLoop, _ respond: @escaping Respond<Answer>,
        _ proceed: @escaping (ReplicaView) throws(JoinRefusal) -> Void
    ) {
        context.requests(on: eventLoop).read { result in
            switch result {
            case .failure(let failure): respond(.failure(advice.refusal(.failed(failure))))
            case .success(let view):
                do throws(JoinRefusal) {
                    try proceed(view)
                } catch {
                    respond(.failure(error))
                }
            }
        }
    }

    private func change(
        on eventLoop: any EventLoop, _ judge: @escaping MemberChanges.Judge,
        _ done: @escaping (Swift.Result<(view: ReplicaView, id: NodeID), MemberChanges.Failure>) -> Void
    ) {
        changes.make(
            MemberChanges.Attempt(eventLoop: eventLoop, deadline: changes.patience, judge: judge, done: done))
    }

    private func checkReady() throws(JoinRefusal) {
        let status = context.node.published.status
        guard !status.isJoining, !status.isLearner else {
            throw JoinRefusal(
                .notReady, "member \(name) is a learner itself and takes nobody in; ask one that votes, or ask again")
        }
        guard status.leader != nil else {
            throw JoinRefusal(.noLeader, "member \(name) knows no leader at the moment; ask again")
        }
    }

    private func checked(_ question: JoinQuestion) throws(JoinRefusal) -> [String] {
        guard !question.name.contains(where: { $0 == "," || $0 == "=" }), question.name.utf8.count <= 256 else {
            throw JoinRefusal(
                .badRequest, "the name has a comma, an equals sign or more than 256 bytes; choose another --name")
        }
        if let id = question.clusterID { try check(clusterID: id) }
        if let token, let other = question.token, other != token {
            throw JoinRefusal(
                .otherCluster,
                "member \(name) is of a cluster whose token is \"\(token)\", and --initial-cluster-token says "
                    + "\"\(other)\": that is another cluster; correct --join or the token")
        }
        return try parse(question.peerURLs)
    }

    private func check(clusterID text: String) throws(JoinRefusal) {
        guard UInt64(text, radix: 16) != context.clusterID else { return }
        throw JoinRefusal(
            .otherCluster,
            "member \(name) is of the cluster \(hex(context.clusterID)), not of \(text); ask a member of that one, or "
                + "start with an empty directory")
    }

    /// As URLs are written in the cluster.
    private func parse(_ texts: [String]) throws(JoinRefusal) -> [String] {
        guard !texts.isEmpty, texts.count <= Self.urlsMax else {
            throw JoinRefusal(
                .badRequest, "from 1 to \(Self.urlsMax) peer URLs are needed, and \(texts.count) were given")
        }
        var urls: Set<String> = []
        for text in texts {
            do throws(ConfigurationError) {
                urls.insert(try ServerURL(parsing: text).description)
            } catch {
                throw JoinRefusal(.badRequest, "peer URLs: \(error.message)")
            }
        }
        return urls.sorted()
    }

    /// Whether the one that is spoken of is there: at one of its URLs at least, and it, not somebody else.
    private func dialBack(
        _ urls: [String], expecting expected: PeerSelf?, on eventLoop: any EventLoop,
        _ done: @escaping @Sendable (JoinRefusal?) -> Void
    ) {
        guard dials.begin(max: Self.dialsMax) else {
            return done(
                JoinRefusal(.notReady, "member \(name) is looking for \(Self.dialsMax) others already; ask again"))
        }
        dial(urls, expecting: expected, on: eventLoop, objections: []) { [dials] refusal in
            dials.end()
            done(refusal)
        }
    }

    private func dial(
        _ urls: [String], expecting expected: PeerSelf?, on eventLoop: any EventLoop, objections: [String],
        _ done: @escaping @Sendable (JoinRefusal?) -> Void
    ) {
        guard let text = urls.first else {
            return done(
                JoinRefusal(
                    .unreachable,
                    "member \(name) does not find the member there: \(objections.joined(separator: "; ")). Nothing was "
                        + "changed; the members have to reach it, so check its --listen-peer-urls, "
                        + "--initial-advertise-peer-urls and what filters packets between them"))
        }
        let url: ServerURL
        do throws(ConfigurationError) {
            url = try ServerURL(parsing: text)
        } catch {
            return done(JoinRefusal(.badRequest, error.message))
        }
        let answer: EventLoopFuture<String?> =
            if let expected {
                HTTPAsk.ask(url, .init(path: PeerSelf.path), timeout: Self.dialTime, on: eventLoop)
                    .map { Self.objection(to: $0, expecting: expected) }
            } else {
                HTTPAsk.touch(url, timeout: Self.dialTime, on: eventLoop).map { nil }
            }
        answer.flatMapErrorThrowing { HTTPAsk.failure($0).description }.whenSuccess { objection in
            guard let objection else { return done(nil) }
            dial(
                Array(urls.dropFirst()), expecting: expected, on: eventLoop,
                objections: objections + ["\(url): \(objection)"], done)
        }
    }

    private static func objection(to answer: HTTPAsk.Answer, expecting expected: PeerSelf) -> String? {
        guard answer.status == 200, let found = try? JSONDecoder().decode(PeerSelf.self, from: Data(answer.body)) else {
            return "what answers is no member that joins (HTTP status \(answer.status))"
        }
        if found == expected { return nil }
        return found.memberID.map { "member \($0) of the cluster \(found.clusterID ?? "?") answers, not this one" }
            ?? "another member that joins answers"
    }
}

/// How many are being looked for.
private final class DialCount: Sendable {
    private let open = Atomic(0)

    func begin(max: Int) -> Bool {
        guard open.add(1, ordering: .relaxed).newValue > max else { return true }
        end()
        return false
    }

    func end() { open.subtract(1, ordering: .relaxed) }
}
