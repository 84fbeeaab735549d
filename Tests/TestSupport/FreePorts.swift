import Glibc
import Synchronization

/// Addresses on this machine that nobody listens on, each given out once.
///
/// Below the ports that connections get by themselves, so that a member that is stopped for a moment finds its own free
/// when it comes back.
package enum FreePorts {
    private static let given = Mutex<Set<UInt16>>([])

    package static func address() -> String { "127.0.0.1:\(port())" }

    package static func port() -> Int {
        for _ in 0..<10_000 {
            let port = UInt16.random(in: 20_000..<32_000)
            guard isFree(port), given.withLock({ $0.insert(port).inserted }) else { continue }
            return Int(port)
        }
        fatalError("no port from 20000 to 31999 is free")
    }

    private static func isFree(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port.bigEndian)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
