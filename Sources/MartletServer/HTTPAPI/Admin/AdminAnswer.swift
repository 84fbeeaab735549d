import Foundation
import NIOCore

/// What `/admin/...` answers: `{"results": ..., "error": 0, "time": 3.9e-06}`, the time in seconds (R35 to R41).
struct AdminAnswer: Sendable {
    enum Code: Int, Sendable {
        case ok = 0
        /// Somebody could not be reached.
        case network = 1
        case badBytes = 2
        case noLeader = 3
        case unknown = 4
        case unknownCommand = 5
    }

    enum Results: Sendable {
        case text(String)
        case list([String])
    }

    var results: Results
    var code = Code.ok
    /// Questions are answered with 200 whatever the code, as in the source; changes and mistakes with what it means.
    var status = 200

    func response(since began: NIODeadline) -> PlainResponse {
        let seconds = Double((NIODeadline.now() - began).nanoseconds) / 1e9
        let text =
            switch results {
            case .text(let text): ServerLogHandler.quote(text)
            case .list(let texts): "[" + texts.map(ServerLogHandler.quote).joined(separator: ",") + "]"
            }
        return PlainResponse(
            status: status, contentType: "application/json",
            body: #"{"results": \#(text),"error": \#(code.rawValue),"time": \#(seconds)}"# + "\n",
            fields: status == 503 ? [("retry-after", "\(JoinRefusal.retryAfterSeconds)")] : [])
    }

    static let noLeader = AdminAnswer(results: .text("no leader"), code: .noLeader)

    init(results: Results, code: Code = .ok, status: Int = 200) {
        self.results = results
        self.code = code
        self.status = status
    }

    init(_ refusal: JoinRefusal) {
        results = .text(refusal.sentence)
        status = refusal.status
        code =
            switch refusal.code {
            case .badRequest: .badBytes
            case .noLeader: .noLeader
            case .unreachable: .network
            default: .unknown
            }
    }
}
