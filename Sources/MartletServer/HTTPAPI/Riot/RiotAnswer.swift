/// Riot's answers, in its own words (`{"errCode":…,"msg":…}`), one mistake of spelling among them.
enum RiotAnswer {
    case operationError
    case network
    case invalidKey
    case notFound
    case invalidRequest
    case serverError

    private var line: (status: Int, code: Int, message: String) {
        switch self {
        case .operationError: (400, 40001, "operation errror")
        case .network: (409, 40002, "net work timeout")
        case .invalidKey: (403, 40003, "invalid key")
        case .notFound: (404, 40004, "not found")
        case .invalidRequest: (403, 40005, "Invalid Request")
        case .serverError: (500, 50000, "riot server error")
        }
    }

    /// - Parameter status: where HTTP has a better one than Riot.
    func response(status: Int? = nil, fields: [(name: String, value: String)] = []) -> PlainResponse {
        PlainResponse(
            status: status ?? line.status, contentType: "application/json",
            body: #"{"errCode":\#(line.code),"msg":"\#(line.message)"}"#, fields: fields)
    }

    /// - Parameter error: of the HTTP API.
    init(_ error: APIError) {
        switch error.status {
        case 404: self = .notFound
        case 429, 503, 504: self = .network
        case 500: self = .serverError
        default: self = .operationError
        }
    }

    static func response(_ error: APIError) -> PlainResponse {
        let fields = error.fields.filter { $0.name == "retry-after" }
        // No leader is 503 everywhere, so that whoever balances load understands it.
        let keeps = [413, 503, 507].contains(error.status)
        return RiotAnswer(error).response(status: keeps ? error.status : nil, fields: fields)
    }
}
