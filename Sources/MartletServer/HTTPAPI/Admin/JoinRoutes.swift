import Foundation
import NIOCore

/// Joining over HTTP: `/cluster/join` and `/cluster/move`, which members use among themselves, and raftd's `/join`
/// (D6, D7, D15). `Documentation/joining.md` has what is different from the source.
struct JoinRoutes: Sendable {
    let desk: JoinDesk

    private typealias Place = JoinDesk.Respond<JoinAnswer>

    /// raftd's body.
    private struct Newcomer: Codable, Sendable {
        var httpAddr: String
        var raftAddr: String
        var id: String
    }

    func register(in router: inout PlainRouter) {
        router.on(["POST"], ClusterEntry.path) { request, eventLoop, respond in
            Self.answer(request, JoinQuestion.self, respond) { (question, respond: @escaping Place) in
                guard !question.name.isEmpty else {
                    return respond(.failure(JoinRefusal(.badRequest, "a member that joins has a name")))
                }
                desk.join(question, by: .itself, on: eventLoop, respond)
            }
        }
        router.on(["POST"], AddressNews.path) { request, eventLoop, respond in
            Self.answer(request, MoveQuestion.self, respond) { question, respond in
                desk.move(question, on: eventLoop, respond)
            }
        }
        router.on(["POST"], "/join") { request, eventLoop, respond in
            Self.answer(request, Newcomer.self, respond) { (newcomer, respond: @escaping Place) in
                guard !newcomer.id.isEmpty, !newcomer.raftAddr.isEmpty, !newcomer.httpAddr.isEmpty else {
                    return respond(
                        .failure(
                            JoinRefusal(.badRequest, #"the body has to be {"httpAddr": "host:port", "raftAddr": "#
                                + #""host:port", "id": "name"}"#)))
                }
                let question = JoinQuestion(name: newcomer.id, peerURLs: [Self.url(newcomer.raftAddr)])
                desk.join(question, by: .another, on: eventLoop, respond)
            }
        }
    }

    private static func url(_ address: String) -> String {
        if address.utf8Range(of: "://") != nil { return address }
        // ":8101" is every address of a machine in raftd; nobody can be found there.
        return "http://" + address
    }

    /// Reads a body, has the question answered, and writes what came of it.
    static func answer<Question: Decodable & Sendable, Answer: Encodable & Sendable>(
        _ request: PlainRequest, _ type: Question.Type, _ respond: @escaping @Sendable (PlainResponse) -> Void,
        _ work: (Question, @escaping @Sendable (Swift.Result<Answer, JoinRefusal>) -> Void) -> Void
    ) {
        let question: Question
        do {
            question = try JSONDecoder().decode(type, from: Data(request.body.readableBytesView))
        } catch {
            return respond(response(to: JoinRefusal(.badRequest, "the body cannot be read: \(text(error))")))
        }
        work(question) { result in
            switch result {
            case .success(let answer): respond(.json(answer))
            case .failure(let refusal): respond(response(to: refusal))
            }
        }
    }

    static func response(to refusal: JoinRefusal) -> PlainResponse {
        let again = refusal.status == 503 ? [("retry-after", "\(JoinRefusal.retryAfterSeconds)")] : []
        return .json(refusal.body, status: refusal.status, fields: again.map { (name: $0.0, value: $0.1) })
    }

    /// What a decoder complains of, in a few words.
    private static func text(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _): "\"\(key.stringValue)\" is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            context.codingPath.last.map { "\"\($0.stringValue)\" is of another kind than it has to be" }
                ?? "it is no JSON object"
        default: "it is not JSON"
        }
    }
}
