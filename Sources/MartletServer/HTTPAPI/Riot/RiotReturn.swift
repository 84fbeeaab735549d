import NIOCore

/// What Riot's later routes answer: `{"ret":0}`, with `data` where something was asked for (R50 to R52). Where `ret` is
/// not 0 there is a `msg` besides, which says for people what was wrong.
enum RiotReturn {
    enum Code: Int, Sendable, CaseIterable {
        case done = 0
        case serverError = 1
        case invalidRequest = 2
        case forbidden = 3
        case notFound = 4

        /// As Riot has it.
        var status: Int {
            switch self {
            case .done: 200
            case .serverError: 500
            case .invalidRequest, .forbidden: 403
            case .notFound: 404
            }
        }
    }

    /// - Parameter data: writes one JSON value, and behind it what members of the answer belong to it.
    static func done(
        fields: [(name: String, value: String)] = [], data: ((inout JSONBuffer) -> Void)? = nil
    ) -> PlainResponse {
        response(.done, status: nil, fields: fields) { json in
            guard let data else { return }
            json.raw("\"data\":")
            data(&json)
            json.raw(",")
        }
    }

    /// - Parameter status: where HTTP has a better one than Riot.
    static func failed(
        _ code: Code, _ message: String, status: Int? = nil, fields: [(name: String, value: String)] = []
    ) -> PlainResponse {
        response(code, status: status, fields: fields) { json in
            json.raw("\"msg\":")
            json.string(message)
            json.raw(",")
        }
    }

    private static func response(
        _ code: Code, status: Int?, fields: [(name: String, value: String)], _ members: (inout JSONBuffer) -> Void
    ) -> PlainResponse {
        var json = JSONBuffer(capacity: 128)
        json.raw("{")
        members(&json)
        json.raw("\"ret\":\(code.rawValue)}\n")
        return PlainResponse(
            status: status ?? code.status, contentType: "application/json", body: json.buffer, fields: fields)
    }

    // MARK: Failures

    static func failed(_ error: APIError) -> PlainResponse {
        let code: Code =
            switch error.status {
            case 404: .notFound
            case 429, 500...: .serverError
            default: .invalidRequest
            }
        // Those of Riot's first routes, and the one that says that a write may have taken effect.
        let keeps = [413, 429, 503, 504, 507].contains(error.status)
        return failed(
            code, error.message, status: keeps ? error.status : nil,
            fields: error.fields.filter { $0.name == "retry-after" })
    }

    static func failed(_ refusal: JoinRefusal) -> PlainResponse {
        switch refusal.code {
        case .badRequest: failed(.invalidRequest, refusal.sentence)
        case .unknownMember: failed(.notFound, refusal.sentence)
        case .noLeader, .notReady, .tooManyLearners:
            failed(
                .serverError, refusal.sentence, status: refusal.status,
                fields: [("retry-after", "\(JoinRefusal.retryAfterSeconds)")])
        case .unreachable: failed(.serverError, refusal.sentence, status: refusal.status)
        case .otherCluster, .nameInUse, .addressInUse, .startedBefore, .removed, .quorum, .refused:
            failed(.forbidden, refusal.sentence, status: refusal.status)
        }
    }

    static func otherMethod(_ methods: [String]) -> PlainResponse {
        let list = methods.joined(separator: ", ")
        return failed(.invalidRequest, "here is only \(list)", fields: [("allow", list)])
    }
}

extension JSONBuffer {
    /// A value as Riot answers it, which is text; of other bytes a member behind it says what they are written in.
    mutating func riotValue(_ value: [UInt8]) {
        value.withUnsafeBytes { bytes in
            guard String(validating: bytes, as: UTF8.self) == nil else { return string(bytes) }
            base64(bytes)
            raw(",\"data_encoding\":\"base64\"")
        }
    }
}
