import Foundation
import Testing

@testable import MartletServer

@Suite struct ListeningSocketTests {
    /// The port that a socket was given.
    private func port(of descriptor: Int32) -> Int {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &length) }
        }
        return Int(in_port_t(bigEndian: address.sin_port))
    }

    @Test func `a port is taken from the first moment, and one sentence says by which flag to choose another`() throws {
        let descriptor = try ListeningSocket(ServerURL(host: "127.0.0.1", port: 0), for: "clients", flag: "--x").take()
        let url = ServerURL(host: "127.0.0.1", port: port(of: descriptor))
        #expect(
            throws: ConfigurationError(
                "cannot listen on \(url) for peers: Address already in use; choose another --y, or stop what listens "
                    + "there")
        ) { try ListeningSocket(url, for: "peers", flag: "--y") }
        close(descriptor)
        // And free again, also when nobody took the socket over.
        _ = try ListeningSocket(url, for: "peers", flag: "--y")
        _ = try ListeningSocket(url, for: "peers", flag: "--y")
    }

    @Test func `an address that is not ours, or none at all, is named`() {
        for (host, reason) in [("192.0.2.1", "Cannot assign requested address"), ("no.such.host.invalid", "host")] {
            let url = ServerURL(host: host, port: 1)
            let error = #expect(throws: ConfigurationError.self) {
                try ListeningSocket(url, for: "clients", flag: "--x")
            }
            #expect(error?.message.contains(host) == true && error?.message.contains(reason) == true)
        }
    }
}
