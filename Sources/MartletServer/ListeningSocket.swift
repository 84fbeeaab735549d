import Foundation
import NIOCore
import Synchronization

/// A port that is ours from the first moment of the start, before anything is read or written: a member whose port is
/// in use must not take part in anything. Who connects meanwhile waits in the socket's queue.
final class ListeningSocket: Sendable {
    private let descriptor: Mutex<Int32>

    /// What one end of a listening socket may hold of connections that have not been accepted.
    private static let backlog: Int32 = 1024

    /// - Parameters:
    ///   - whom: who connects here, for the error.
    ///   - flag: where the URL came from, for the error.
    ///   - isShared: whether another process may listen on the same port.
    init(_ url: ServerURL, for whom: String, flag: String, isShared: Bool = false) throws(ConfigurationError) {
        let result = Self.listen(url.host, url.port, isShared: isShared)
        switch result {
        case .success(let descriptor): self.descriptor = Mutex(descriptor)
        case .failure(let failure):
            throw ConfigurationError(
                "cannot listen on \(url) for \(whom): \(failure.reason); choose another \(flag), or stop what listens "
                    + "there")
        }
    }

    deinit {
        let descriptor = descriptor.withLock { $0 }
        if descriptor >= 0 { close(descriptor) }
    }

    /// Hands the socket over: whoever takes it closes it.
    func take() -> Int32 {
        descriptor.withLock { descriptor in
            precondition(descriptor >= 0, "a listening socket was handed over twice")
            defer { descriptor = -1 }
            return descriptor
        }
    }

    /// Another end of the same socket, for who only needs it for a while: closed by whoever took it, and this one goes
    /// on listening.
    func lend() -> Int32 {
        descriptor.withLock { descriptor in
            precondition(descriptor >= 0, "a listening socket was lent after it was handed over")
            return fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        }
    }

    private struct Failure: Error {
        var reason: String
        static func last() -> Failure { Failure(reason: String(cString: strerror(errno))) }
    }

    private static func listen(_ host: String, _ port: Int, isShared: Bool) -> Result<Int32, Failure> {
        guard let address = try? SocketAddress.makeAddressResolvingHost(host, port: port) else {
            return .failure(Failure(reason: "the host is not known"))
        }
        let family = address.protocol == .inet6 ? AF_INET6 : AF_INET
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, type, 0)
        guard descriptor >= 0 else { return .failure(.last()) }
        // A port whose last connections linger (TIME_WAIT) is free.
        var one: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        let isListening =
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, size) == 0
            && (!isShared || setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &one, size) == 0)
            && address.withSockAddr { bind(descriptor, $0, socklen_t($1)) } == 0
            // At once: two sockets may be bound to one port, but only one listens.
            && Foundation.listen(descriptor, backlog) == 0
        guard isListening else {
            let failure = Failure.last()
            close(descriptor)
            return .failure(failure)
        }
        return .success(descriptor)
    }
}
