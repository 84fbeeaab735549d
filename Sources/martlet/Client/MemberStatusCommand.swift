import ArgumentParser
import Foundation
import MartletClient

struct MemberStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Prints who leads, who votes, and who does not answer.",
        usage: "martlet member status [options]",
        discussion: """
            As the endpoint sees it; the leader is the one to ask where members see different things. A member that is
            \"silent\" has not been connected for the time that is printed.
            """)

    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    private struct Report: Decodable {
        struct Row: Decodable {
            var id: String
            var name: String
            var peerURLs: [String]
            var clientURLs: [String]
            var role: String
            var state: String
            var silentSeconds: Double?
        }

        var members: [Row]
    }

    func run() async throws {
        let format = try global.format(noneOf: [.fields, .protobuf])
        let endpoints = try global.servers()
        var answer: (endpoint: Endpoint, PlainHTTP.Answer)?
        for endpoint in endpoints where answer == nil {
            answer = await PlainHTTP.send("/admin/members", to: endpoint, timeout: try global.timeout())
                .map { (endpoint, $0) }
        }
        guard let (endpoint, page) = answer else {
            throw CommandFailure.failed(
                "none of \(endpoints.map(\.text).joined(separator: ", ")) answers; name others with --endpoints")
        }
        guard page.status == 200, let report = try? JSONDecoder().decode(Report.self, from: Data(page.body)) else {
            throw CommandFailure.failed(
                "\(endpoint) is no member of Martlet (HTTP status \(page.status)); at etcd: martlet endpoint status "
                    + "--cluster")
        }
        if format == .json { return Output.write(page.body) }
        var table = TextTable(["ID", "NAME", "ROLE", "STATE", "SILENT FOR", "PEER URLS", "CLIENT URLS"])
        var lines = ""
        for row in report.members {
            let silence = row.silentSeconds.map { GoText.duration(.seconds(Int64($0))) } ?? ""
            let cells = [
                row.id, row.name, row.role, row.state, silence, row.peerURLs.joined(separator: ","),
                row.clientURLs.joined(separator: ","),
            ]
            table.append(cells)
            lines += cells.joined(separator: ", ") + "\n"
        }
        Output.print(format == .table ? table.text : lines)
    }
}
