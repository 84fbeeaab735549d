import Logging
import Raft

/// What the HTTP server answers: see the README.
struct Handler: Sendable {
    let member: RaftMember<KeyValueStore>
    let logger: Logger

    struct Response: Sendable {
        var status: Int
        var body: [UInt8] = []
        var headers: [(name: String, value: String)] = []

        static let noContent = Response(status: 204)
        static func failed(_ status: Int, _ text: String) -> Response {
            Response(status: status, body: Array("\(text)\n".utf8))
        }
    }

    /// - Parameters:
    ///   - uri: as it came, with the leading slash and the query: that is the key.
    ///   - body: nil if it could not be read.
    func respond(method: String, uri: String, body: [UInt8]?) async -> Response {
        switch method {
        case "PUT": await put(uri, body)
        case "GET": await get(uri)
        case "POST": await add(uri, body)
        case "DELETE": await remove(uri)
        default:
            Response(
                status: 405, body: Array("Method not allowed\n".utf8),
                headers: ["PUT", "GET", "POST", "DELETE"].map { ("Allow", $0) })
        }
    }

    private func put(_ key: String, _ value: [UInt8]?) async -> Response {
        guard let value else { return .failed(400, "Failed on PUT") }
        // A leader that dies takes what is on its way to it along. The command has a number of its own, so proposing it
        // again is safe: the store carries it out once.
        let command = KeyValueStore.put(key, value, number: UInt64.random(in: .min ... .max))
        let end = ContinuousClock.now + .seconds(10)
        while true {
            do {
                try await member.propose(command)
                return .noContent
            } catch {
                switch error {
                case .timedOut, .noLeader, .overloaded:
                    if ContinuousClock.now < end { continue }
                default: break
                }
                logger.warning("failed to put", metadata: ["key": "\(key)", "reason": "\(error)"])
                if case .tooLarge = error { return .failed(413, "Failed on PUT: \(error)") }
                return .failed(503, "Failed on PUT: \(error)")
            }
        }
    }

    /// The newest value, if the cluster says within half a second that it is; else what this node has.
    private func get(_ key: String) async -> Response {
        do {
            let value = try await fresh(key)
            guard let value else { return .failed(404, "Failed to GET") }
            return Response(status: 200, body: value)
        } catch {
            return .failed(503, "Failed to GET: \(error)")
        }
    }

    private func fresh(_ key: String) async throws -> [UInt8]? {
        try await withThrowingTaskGroup(of: [UInt8]??.self) { group in
            group.addTask { .some(try await member.read { $0.values[key] }) }
            group.addTask {
                try? await Task.sleep(for: .milliseconds(500))
                return .none
            }
            defer { group.cancelAll() }
            if let first = try? await group.next(), let value = first { return value }
            return try await member.read(.local) { $0.values[key] }
        }
    }

    private func add(_ uri: String, _ body: [UInt8]?) async -> Response {
        guard let body, let id = number(in: uri), let address = address(ofURL: String(decoding: body, as: UTF8.self))
        else { return .failed(400, "Failed on POST") }
        let peer = RaftPeer(id: NodeID(id), address: address)
        if member.members.contains(where: { $0.id == peer.id && $0.address == address }) { return .noContent }
        do {
            try await member.addMember(peer)
            return .noContent
        } catch {
            return refused("POST", error)
        }
    }

    private func remove(_ uri: String) async -> Response {
        guard let id = number(in: uri) else { return .failed(400, "Failed on DELETE") }
        do {
            try await member.remove(NodeID(id))
            return .noContent
        } catch {
            switch error {
            // It is not there any more; or it was this node, which has heard of it already.
            case .unknownMember, .removed: return .noContent
            default: return refused("DELETE", error)
            }
        }
    }

    private func refused(_ method: String, _ error: RaftError) -> Response {
        logger.warning("the membership was not changed", metadata: ["reason": "\(error)"])
        switch error {
        case .memberExists, .membershipRefused, .wouldLoseQuorum: return .failed(400, "Failed on \(method): \(error)")
        default: return .failed(503, "Failed on \(method): \(error)")
        }
    }

    /// What Go's `strconv.ParseUint(text, 0, 64)` takes: decimal, 0x, 0o, 0b, and a leading zero for octal.
    private func number(in uri: String) -> UInt64? {
        let text = uri.dropFirst().lowercased()
        let number: UInt64? =
            if text.hasPrefix("0x") {
                UInt64(text.dropFirst(2), radix: 16)
            } else if text.hasPrefix("0o") {
                UInt64(text.dropFirst(2), radix: 8)
            } else if text.hasPrefix("0b") {
                UInt64(text.dropFirst(2), radix: 2)
            } else if text.hasPrefix("0"), text.count > 1 {
                UInt64(text.dropFirst(), radix: 8)
            } else {
                UInt64(text)
            }
        guard !text.contains("+"), let number, number > 0 else { return nil }
        return number
    }
}
