internal import Glibc
internal import NIOCore
internal import NIOPosix

/// Why a socket failed, in an operator's words: NIO's own texts name its functions.
package enum SocketFailure {
    package static func text(_ error: any Error) -> String {
        switch error {
        case let failure as NIOConnectionError:
            // No address was tried: there is none.
            failure.connectionErrors.last.map { text($0.error) } ?? "the host is not known"
        case let failure as IOError: String(cString: strerror(failure.errnoCode))
        case is SocketAddressError: "the host is not known"
        case ChannelError.connectTimeout: "connecting took too long"
        case is ChannelError: "the connection is closed"
        default: "\(error)"
        }
    }

    /// Connecting was refused, at all addresses that the host has: it is up, and nobody listens there.
    package static func isRefusal(_ error: any Error) -> Bool {
        switch error {
        case let failure as NIOConnectionError:
            !failure.connectionErrors.isEmpty && failure.connectionErrors.allSatisfy { isRefusal($0.error) }
        case let failure as IOError: failure.errnoCode == ECONNREFUSED
        default: false
        }
    }
}
