import Foundation
import NIOCore

/// Fills in where a member that joins listens and is found, as far as it was not told: on the address by which this
/// machine reaches the member that is asked. So that `martlet serve --name n4 --join HOST:PORT` is all that is needed
/// on a machine of its own.
struct JoinAddresses {
    /// The address of this machine towards that place; nil if there is no way there.
    var local: (ServerURL) -> String? = { Self.local(towards: $0) }

    func fill(_ configuration: inout ServerConfiguration) throws(ConfigurationError) {
        let missing = configuration.missingURLs
        guard !configuration.join.isEmpty, !missing.isEmpty else { return }
        let address = configuration.join.lazy.compactMap(local).first
        func here(_ urls: [ServerURL]) throws(ConfigurationError) -> [ServerURL] {
            try urls.map { url throws(ConfigurationError) in
                guard ["0.0.0.0", "::", "localhost"].contains(url.host) else { return url }
                guard let address else {
                    throw ConfigurationError(
                        "--join: this machine has no way to "
                            + configuration.join.map(\.hostAndPort).joined(separator: ", ")
                            + ", by which it could tell its own address; give --initial-advertise-peer-urls and "
                            + "--advertise-client-urls, and what it listens on")
                }
                return ServerURL(host: address, port: url.port)
            }
        }
        if missing.contains(.listenPeer) { configuration.listenPeerURLs = try here(configuration.listenPeerURLs) }
        if missing.contains(.listenClient) { configuration.listenClientURLs = try here(configuration.listenClientURLs) }
        if missing.contains(.advertisePeer) {
            configuration.initialAdvertisePeerURLs = try here(configuration.listenPeerURLs)
        }
        if missing.contains(.advertiseClient) {
            configuration.advertiseClientURLs = try here(configuration.listenClientURLs)
        }
        configuration.initialCluster = try InitialCluster(
            [(configuration.name, configuration.initialAdvertisePeerURLs)], token: configuration.initialCluster.token)
    }

    /// The system tells by which address it would send there. Nothing is sent.
    static func local(towards url: ServerURL) -> String? {
        guard let target = try? SocketAddress.makeAddressResolvingHost(url.host, port: max(1, url.port)) else {
            return nil
        }
        let family = target.protocol == .inet6 ? AF_INET6 : AF_INET
        let descriptor = socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard target.withSockAddr({ connect(descriptor, $0, socklen_t($1)) }) == 0 else { return nil }
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let isTold = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) == 0 }
        }
        guard isTold else { return nil }
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let isWritten = withUnsafePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getnameinfo($0, size, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
            }
        }
        guard isWritten else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
