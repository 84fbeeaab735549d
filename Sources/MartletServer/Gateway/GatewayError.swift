import HTTP2
import NIOCore

/// What a request of the gateway failed with, as JSON (W5, W6).
struct GatewayError: Error, Sendable {
    var status: GRPCStatus

    init(_ status: GRPCStatus) { self.status = status }
    init(_ code: GRPCCode, _ message: String) { status = GRPCStatus(code, message) }

    /// The answer of a request with one answer. etcd 3.5 has all three fields, 3.6 has no `error`; clients look at one
    /// or the other.
    var response: PlainResponse {
        let message = ServerLogHandler.quote(status.message)
        return PlainResponse(
            status: status.code.httpStatus, contentType: "application/json",
            body: #"{"error":\#(message),"code":\#(status.code.rawValue),"message":\#(message)}"#)
    }

    /// The last object of a stream that failed. 3.5 has the fields with prefixes, 3.6 the others.
    var streamObject: ByteBuffer {
        let message = ServerLogHandler.quote(status.message)
        let http = status.code.httpStatus
        return ByteBuffer(
            string: #"{"error":{"code":\#(status.code.rawValue),"message":\#(message),"#
                + #""grpc_code":\#(status.code.rawValue),"http_code":\#(http)}}"# + "\n")
    }
}

extension GRPCCode {
    /// grpc-gateway's `HTTPStatusFromCode`.
    var httpStatus: Int {
        switch self {
        case .ok: 200
        case .cancelled: 499
        case .invalidArgument, .failedPrecondition, .outOfRange: 400
        case .unauthenticated: 401
        case .permissionDenied: 403
        case .notFound: 404
        case .alreadyExists, .aborted: 409
        case .resourceExhausted: 429
        case .unknown, .internalError, .dataLoss: 500
        case .unimplemented: 501
        case .unavailable: 503
        case .deadlineExceeded: 504
        }
    }
}
