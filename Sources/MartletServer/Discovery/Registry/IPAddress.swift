import Foundation

/// An address as its bytes, in the order of the network.
enum IPAddress: Hashable, Sendable {
    case v4([UInt8])
    case v6([UInt8])

    /// Nil for what is no address in figures.
    init?(_ text: String) {
        var v4 = in_addr()
        var v6 = in6_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            self = .v4(withUnsafeBytes(of: &v4) { Array($0) })
        } else if inet_pton(AF_INET6, text, &v6) == 1 {
            self = .v6(withUnsafeBytes(of: &v6) { Array($0) })
        } else {
            return nil
        }
    }
}
