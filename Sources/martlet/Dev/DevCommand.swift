import ArgumentParser
import Foundation
import MartletClient

/// Starts a cluster on this machine for trying things out, and stops it again.
struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev", abstract: "Starts a cluster on this machine, for trying things out.",
        discussion: """
            The members are processes of their own on loopback. Their data stays in the data directory; the same \
            command starts them again with it.
            """)

    @Option(help: ArgumentHelp("How many members.", valueName: "number")) var members = 3
    @Option(help: ArgumentHelp("Where their data is kept.", valueName: "path")) var dataDir = ".martlet"
    @Option(
        help: ArgumentHelp(
            "The first member's port for clients; its port for members is the next one, the other members are "
                + "20000, 30000 and so on above.",
            valueName: "port"))
    var basePort = 2379
    @Option(help: ArgumentHelp("The program to run the members with, if not this one.", visibility: .hidden))
    var executable: String?

    func run() async throws {
        let plan = try DevPlan(members: members, dataDirectory: dataDir, basePort: basePort)
        for member in plan.members {
            for port in [member.clientPort, member.peerPort] where !LoopbackPort.isFree(port) {
                throw CommandFailure.failed(
                    "port \(port) of \(member.name) is taken; stop what listens there, perhaps another martlet "
                        + "dev, or name "
                        + "another --base-port")
            }
        }
        try claimDataDirectory(plan)
        guard let program = executable.map({ URL(fileURLWithPath: $0) }) ?? Bundle.main.executableURL else {
            throw CommandFailure.failed("martlet cannot find its own program; start it by its path")
        }
        try await DevCluster(plan, executable: program).run()
    }

    private func claimDataDirectory(_ plan: DevPlan) throws(CommandFailure) {
        let path = plan.dataDirectory + "/members"
        if let found = try? String(contentsOfFile: path, encoding: .utf8), !found.isEmpty {
            guard found == plan.signature else { throw plan.mismatch(with: found) }
            return
        }
        do {
            try FileManager.default.createDirectory(atPath: plan.dataDirectory, withIntermediateDirectories: true)
            try plan.signature.write(toFile: path, atomically: true, encoding: .utf8)
        } catch {
            throw .failed("\(plan.dataDirectory) cannot be written to; name a directory that can with --data-dir")
        }
    }
}

/// Whether a port can be listened on.
enum LoopbackPort {
    static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, streamSocketType, 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // A server that listened here a moment ago is no obstacle, as it is none for the members.
        var reuse: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 && listen(descriptor, 1) == 0
            }
        }
    }

    #if canImport(Darwin)
        private static let streamSocketType = SOCK_STREAM
    #else
        private static let streamSocketType = Int32(SOCK_STREAM.rawValue)
    #endif
}
