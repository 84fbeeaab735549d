package import EtcdAPI

/// Why a call did not succeed.
package enum ClientError: Error, Equatable, Sendable {
    /// The server answered with one of etcd's errors.
    case etcd(EtcdError)
    /// The server, or the way to it, answered with another status.
    case status(EtcdStatusCode, message: String)
    /// No endpoint could be connected to: for each, why. Nothing has been sent.
    case unreachable([EndpointFailure])
    /// There was no answer in time. A write may still be carried out.
    case deadlineExceeded
    /// The answer is not what the protocol says.
    case malformedAnswer(WireError)
    /// An endpoint that cannot be read; a sentence says why.
    case badEndpoint(String)
    /// The client was shut down.
    case closed

    package struct EndpointFailure: Equatable, Sendable {
        package let endpoint: Endpoint
        package let reason: String

        package init(endpoint: Endpoint, reason: String) {
            self.endpoint = endpoint
            self.reason = reason
        }
    }
}

extension ClientError: CustomStringConvertible {
    /// One sentence; etcd's own text where it is etcd's error.
    package var description: String {
        switch self {
        case .etcd(let error): error.message
        case .status(_, let message): message
        case .unreachable(let failures):
            "no endpoint can be reached (" + failures.map { "\($0.endpoint): \($0.reason)" }.joined(separator: "; ")
                + ")"
        case .deadlineExceeded: "context deadline exceeded"
        case .malformedAnswer(let error): "the answer cannot be read (\(error))"
        case .badEndpoint(let sentence): sentence
        case .closed: "the client is closed"
        }
    }
}
