import Digests
package import RaftCore
import Replica

/// The members that a cluster starts with: `--initial-cluster` and `--initial-cluster-token`.
///
/// Ids are derived as etcd derives them, from what all members are told alike: a member's id from its peer URLs and
/// the token, the cluster's id from the ids of its first members. So members that are started apart agree on them.
package struct InitialCluster: Equatable, Sendable {
    package struct Member: Equatable, Sendable {
        package let name: String
        /// Sorted, without duplicates.
        package let peerURLs: [ServerURL]
        package let id: NodeID
    }

    /// Sorted by id, so that every member sees the same order whatever order its flag had.
    package let members: [Member]
    package let token: String
    package let clusterID: UInt64

    /// - Parameter urlsByName: each member's name with its peer URLs, in any order.
    package init(_ urlsByName: [(name: String, peerURLs: [ServerURL])], token: String) throws(ConfigurationError) {
        var members: [Member] = []
        var seen: [ServerURL: String] = [:]
        for (name, urls) in urlsByName {
            for url in urls {
                if let other = seen.updateValue(name, forKey: url) {
                    throw ConfigurationError(
                        "--initial-cluster lists \(url) for "
                            + "\(other == name ? name + " twice" : "both \(other) and \(name)"); "
                            + "each member has peer URLs of its own")
                }
            }
            let sorted = urls.sorted { $0.description < $1.description }
            let id = Self.memberID(peerURLs: sorted, token: token)
            members.append(Member(name: name, peerURLs: sorted, id: id))
        }
        members.sort { $0.id < $1.id }
        for (member, next) in zip(members, members.dropFirst()) where member.id == next.id {
            throw ConfigurationError(
                "the members \(member.name) and \(next.name) come to the same id; change --initial-cluster-token")
        }
        self.members = members
        self.token = token
        clusterID = Self.clusterID(of: members.map(\.id))
    }

    /// Reads `name=url,name=url`; a name that stands twice has several URLs.
    package init(parsing text: String, token: String) throws(ConfigurationError) {
        var order: [String] = []
        var urls: [String: [ServerURL]] = [:]
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let equals = part.firstIndex(of: "="), equals > part.startIndex else {
                throw ConfigurationError(
                    "--initial-cluster: \"\(part)\" has no name; write it as "
                        + "name=http://host:port,name=http://host:port"
                )
            }
            let name = part[..<equals].trimmed
            let url: ServerURL
            do throws(ConfigurationError) {
                url = try ServerURL(parsing: part[part.index(after: equals)...].trimmed)
            } catch {
                throw ConfigurationError("--initial-cluster: \(error.message)")
            }
            if urls[name] == nil { order.append(name) }
            urls[name, default: []].append(url)
        }
        try self.init(order.map { ($0, urls[$0]!) }, token: token)
    }

    /// Their rows in the first state. Each has its name from the start, as in etcd: a member that was killed before it
    /// could tell it is known by it all the same.
    var firstRows: [Replica.Member] {
        members.map { member in
            Replica.Member(
                id: member.id, name: member.name, peerURLs: member.peerURLs.map(\.description), clientURLs: [])
        }
    }

    package func member(named name: String) -> Member? { members.first { $0.name == name } }

    package func member(_ id: NodeID) -> Member? { members.first { $0.id == id } }

    /// The id of a member: the first eight bytes of SHA-1 over its sorted peer URLs, the token and, for a member that
    /// is added to a running cluster, the second it was added in. Never zero, which names nobody.
    package static func memberID(peerURLs: [ServerURL], token: String, addedAtUnixSeconds: Int64? = nil) -> NodeID {
        var message = peerURLs.map(\.description).sorted().joined() + token
        if let addedAtUnixSeconds { message += String(addedAtUnixSeconds) }
        return NodeID(rawValue: identifier(of: Array(message.utf8)))
    }

    /// The id of a cluster: the first eight bytes of SHA-1 over the ids of its first members, sorted.
    package static func clusterID(of members: [NodeID]) -> UInt64 {
        identifier(
            of: members.sorted().flatMap { id in
                (0..<8).map { UInt8(truncatingIfNeeded: id.rawValue >> (56 - 8 * UInt64($0))) }
            })
    }

    private static func identifier(of message: [UInt8]) -> UInt64 {
        let value = SHA1.hash(message).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        return value == 0 ? 1 : value
    }
}
