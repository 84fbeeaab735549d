import Foundation
import Raft
import RaftCore
import Replica

/// `/version` and `/debug/vars`.
struct InformationRoutes: Sendable {
    let context: ServiceContext

    func register(in router: inout PlainRouter) {
        router.on(["GET"], "/version") { _, _, respond in respond(Self.version) }
        router.on(["GET", "HEAD"], "/debug/vars") { _, _, respond in
            respond(
                PlainResponse(status: 200, contentType: "application/json; charset=utf-8", body: variables))
        }
    }

    static var version: PlainResponse {
        PlainResponse(
            status: 200, contentType: "application/json",
            body: #"{"etcdserver":"\#(MaintenanceService.etcdVersion)","#
                + #""etcdcluster":"\#(MaintenanceService.etcdClusterVersion)","#
                + #""storage":"\#(MaintenanceService.etcdClusterVersion)"}"#)
    }

    /// As Go's expvar has it, as far as it means anything here.
    private var variables: String {
        let status = context.node.published.status
        let process = ProcessFigures.now()
        let arguments = CommandLine.arguments.map(ServerLogHandler.quote).joined(separator: ",")
        let raft =
            #"{"id":"\#(hex(status.id.rawValue))","term":\#(status.term.rawValue),"commit":\#(status.commit.rawValue),"#
            + #""applied":\#(status.applied.rawValue),"lead":"\#(hex(status.leader?.rawValue ?? 0))","#
            + #""raftState":"\#(status.role)"}"#
        return #"{"cmdline":[\#(arguments)],"file_descriptor_limit":\#(process.descriptorsMax),"#
            + #""memstats":{"Sys":\#(process.residentBytes)},"raft.status":\#(raft)}"# + "\n"
    }
}
