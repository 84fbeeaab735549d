import Glibc
import Logging
import Raft
import ServiceLifecycle

let arguments: Arguments
do {
    arguments = try Arguments(Array(CommandLine.arguments.dropFirst()))
} catch {
    print("raftexample: \(error)\n\(Arguments.usage)")
    exit(2)
}
LoggingSystem.bootstrap(StreamLogHandler.standardError)
let logger = Logger(label: "raftexample")

var peers: [RaftPeer] = []
for (place, url) in arguments.cluster.enumerated() {
    guard let address = address(ofURL: url) else {
        print("raftexample: \(url) in --cluster is no http://host:port")
        exit(2)
    }
    peers.append(RaftPeer(id: NodeID(UInt64(place + 1)), address: address))
}

var options = RaftOptions()
options.clusterName = "raftexample"
options.maxCommandBytes = 16 << 20
// Short, since the handler asks again.
options.requestTimeout = .seconds(2)
let member = RaftMember(
    id: NodeID(arguments.id), cluster: arguments.join ? .join(peers) : .new(peers),
    log: .directory("raftexample-\(arguments.id)"), transport: .tcp(), stateMachine: KeyValueStore(),
    options: options, logger: logger)
let server = HTTPServer(port: arguments.port, handler: Handler(member: member, logger: logger), logger: logger)

// In this order: the server stops taking requests first.
let group = ServiceGroup(
    services: [member, server], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
do {
    try await group.run()
} catch RaftError.removed {
    print("I've been removed from the cluster! Shutting down.")
} catch {
    print("raftexample: \(error)")
    exit(1)
}
