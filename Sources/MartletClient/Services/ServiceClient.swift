import Foundation

/// Service discovery by the HTTP API of any of the endpoints.
package struct ServiceClient: Sendable {
    package struct Failure: Error, Sendable {
        /// Nil where nobody answered.
        package var status: Int?
        package var message: String
    }

    private let endpoints: [Endpoint]
    private let timeout: Duration
    private let dialTimeout: Duration

    package init(endpoints: [Endpoint], timeout: Duration) {
        precondition(!endpoints.isEmpty, "a client needs an endpoint")
        self.endpoints = endpoints
        self.timeout = timeout
        dialTimeout = min(timeout, .seconds(2))
    }

    // MARK: Calls

    package func register(
        _ service: String, _ id: String, _ body: [UInt8]
    ) async throws(Failure) -> (instance: ServiceInstanceListing, json: [UInt8]) {
        let json = try await ask("PUT", Self.path(service, id), body: body)
        return (try Self.decode(ServiceInstanceListing.self, json), json)
    }

    package func deregister(_ service: String, _ id: String) async throws(Failure) -> [UInt8] {
        try await ask("DELETE", Self.path(service, id))
    }

    package func names() async throws(Failure) -> (names: ServiceNames, json: [UInt8]) {
        let json = try await ask("GET", "/service")
        return (try Self.decode(ServiceNames.self, json), json)
    }

    /// - Parameters:
    ///   - all: instances that fail their checks, too.
    ///   - change: wait until something has changed after this revision, or the time is up.
    package func list(
        _ service: String, tags: [String] = [], all: Bool = false, change: (after: Int64, within: Duration)? = nil
    ) async throws(Failure) -> (listing: ServiceListing, json: [UInt8]) {
        var items = tags.map { "tag=" + Self.escaped($0) }
        if all { items.append("healthy=false") }
        if let change { items.append("wait=\(change.within.components.seconds)s&index=\(change.after)") }
        let query = items.isEmpty ? "" : "?" + items.joined(separator: "&")
        let json = try await ask("GET", Self.path(service) + query, within: change?.within ?? .zero)
        return (try Self.decode(ServiceListing.self, json), json)
    }

    // MARK: Pieces

    private static func path(_ parts: String...) -> String {
        "/service" + parts.map { "/" + escaped($0) }.joined()
    }

    private static func escaped(_ text: String) -> String {
        let plain = CharacterSet(charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
        return text.addingPercentEncoding(withAllowedCharacters: plain) ?? text
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, _ json: [UInt8]) throws(Failure) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(json))
        } catch {
            throw Failure(status: nil, message: "the answer is not what a martlet server says")
        }
    }

    private struct Complaint: Decodable {
        var message: String
    }

    /// All that is asked can be asked twice: so each endpoint is tried until one answers.
    private func ask(
        _ method: String, _ target: String, body: [UInt8] = [], within: Duration = .zero
    ) async throws(Failure) -> [UInt8] {
        var failure = Failure(status: nil, message: "no endpoint answered")
        for endpoint in endpoints {
            let result = await PlainHTTP.ask(
                endpoint, method, target, body: body, dialTimeout: dialTimeout, timeout: timeout + within)
            switch result {
            case .failure(.unreachable):
                failure = Failure(
                    status: nil,
                    message: "cannot connect to \(endpoint); start a server with martlet serve or martlet dev, or name "
                        + "another with --endpoints")
            case .failure(.lost(let reason)): failure = Failure(status: nil, message: "\(endpoint): \(reason)")
            case .success(let answer) where (200..<300).contains(answer.status): return answer.body
            case .success(let answer):
                let complaint = try? JSONDecoder().decode(Complaint.self, from: Data(answer.body))
                failure = Failure(
                    status: answer.status,
                    message: complaint?.message ?? "\(endpoint) answered HTTP status \(answer.status)")
                // What another member would say as well.
                guard answer.status == 503 else { throw failure }
            }
            if Task.isCancelled { break }
        }
        throw failure
    }
}
