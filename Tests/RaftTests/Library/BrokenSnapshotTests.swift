import Foundation
import Glibc
import Logging
import Raft
import Synchronization
import TestSupport
import Testing

extension LibraryTests {
    @Suite struct BrokenSnapshotTests {
        @Test func `a snapshot goes on in its file when its connection breaks`() async throws {
            let peers = (1...2).map { RaftPeer(id: NodeID(UInt64($0)), address: FreePorts.address()) }
            let port = try #require(Int(peers[1].address.split(separator: ":")[1]))
            let options = quickOptions {
                $0.snapshotEntries = 50
                $0.catchUpEntries = 10
            }
            let log = Lines()
            func member(_ id: NodeID, _ cluster: ClusterStart, _ directory: String) -> RaftMember<KeyValues> {
                var tcp = RaftTransport.TCPOptions()
                // More than three seconds, so that it is under way at each cut, however busy the machine.
                tcp.snapshotBytesPerSecond = 1_500_000
                return RaftMember(
                    id: id, cluster: cluster, log: .directory(directory), transport: .tcp(tcp),
                    stateMachine: KeyValues(), options: options, logger: Logger(label: "raft") { _ in log })
            }
            let directories = try [TemporaryDirectory(), TemporaryDirectory()]
            let leader = member(1, .new([peers[0]]), directories[0].path)
            try await leader.start()
            for number in 0..<60 {
                try await leader.put("k\(number)", String(repeating: "\(number % 10)", count: 80_000))
            }
            // The log is cut by then.
            try await Task.sleep(for: .milliseconds(300))

            let joining = member(2, .join(peers), directories[1].path)
            try await joining.start()
            try await leader.addLearner(peers[1])
            for part in 1...3 {
                #expect(
                    try await eventually { log.count("receiving a snapshot") + log.count("goes on arriving") >= part })
                try await Task.sleep(for: .milliseconds(200))
                Self.cutConnections(to: port)
            }
            #expect(try await eventually { try await joining.get("k59", .local) != nil })
            #expect(try await joining.read(.local) { $0.values } == leader.read(.local) { $0.values })
            // One snapshot, of one stream.
            #expect(log.count("receiving a snapshot") == 1)
            #expect(log.count("goes on arriving") == 3 && log.count("goes on being sent") == 3)
            await joining.stop()
            await leader.stop()
        }

        /// Ends the diallers' sockets, as a network that breaks does.
        static func cutConnections(to port: Int) {
            for descriptor in Int32(3)..<4_096 {
                var address = sockaddr_in()
                var length = socklen_t(MemoryLayout<sockaddr_in>.size)
                let result = withUnsafeMutablePointer(to: &address) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) }
                }
                guard result == 0, address.sin_family == sa_family_t(AF_INET),
                    Int(UInt16(bigEndian: address.sin_port)) == port
                else { continue }
                shutdown(descriptor, Int32(SHUT_RDWR))
            }
        }
    }
}

/// What was logged.
private final class Lines: LogHandler {
    private let lines = Mutex<[String]>([])
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .info }
        set {}
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) { lines.withLock { $0.append("\(event.message)") } }

    func count(_ text: String) -> Int { lines.withLock { $0.count { $0.contains(text) } } }
}
