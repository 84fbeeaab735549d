import ArgumentParser
import EtcdAPI
import Foundation
import MartletClient
import MartletServer

struct MemberReplaceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replace", abstract: "Puts a new member in the place of another one, in one step.",
        usage: "martlet member replace <old> <name> --peer-urls <urls> [--wait <duration>] [options]",
        discussion: """
            The new member is added as a learner; what is printed says how to start it. When it has caught up, it votes
            and the old one goes, in one change: there are never fewer voters than before. Breaking it off is without
            danger, and the same command goes on with it.

              martlet member replace m2 m4 --peer-urls http://10.0.0.4:2380

            Simpler, on the new machine itself: martlet serve --name m4 --join 10.0.0.1:2379 --replace m2
            """)

    @Argument(help: "The old member's id, in hexadecimal, or its name; then the new one's name.")
    var arguments: [String] = []
    @Option(
        help: ArgumentHelp("Where the others find the new one, several with commas between them.", valueName: "urls"))
    var peerUrls = ""
    @Option(help: ArgumentHelp("How long to wait for the new one to catch up.", valueName: "duration"))
    var wait = "10m"
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    private struct Question: Encodable {
        var old: String
        var name: String
        var peerURLs: [String]
    }

    private struct Progress: Decodable {
        var state: String
        var memberID: String
        var reason: String?
        var initialCluster: String
    }

    private struct Refusal: Decodable {
        var error: String
    }

    func checked() throws(CommandFailure) -> (old: String, name: String, wait: Duration) {
        guard arguments.count == 2 else {
            throw .badArguments("two members are needed: the old one's id or name, and the new one's name")
        }
        guard !peerUrls.isEmpty else { throw .badArguments("member peer urls not provided; use --peer-urls") }
        guard let time = GoDuration.parse(wait), time > .zero else {
            throw .badArguments("--wait: \"\(wait)\" is not a duration; write it as 500ms, 20s or 2h")
        }
        return (arguments[0], arguments[1], time)
    }

    func run() async throws {
        let (old, name, time) = try checked()
        // By its id from now on: the new one may be called like it.
        let id = GoText.hex(try await MemberCommand.member(old, global))
        let urls = peerUrls.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let question = Array(try JSONEncoder().encode(Question(old: id, name: name, peerURLs: urls)))
        let deadline = ContinuousClock.now + time
        var isTold = false
        var said = ""
        func say(_ text: String) {
            if text != said { Output.error(text + "\n") }
            said = text
        }
        while true {
            switch try await ask(question) {
            case .success(let progress) where progress.state == "replaced":
                Output.print("Member \(id) replaced by \(progress.memberID)\n")
                return
            case .success(let progress):
                if !isTold { printStart(of: name, progress) }
                isTold = true
                say("waiting: \(progress.reason ?? "the new member is to be started")")
            case .failure(let refusal): say("waiting: \(refusal.message)")
            }
            guard ContinuousClock.now < deadline else {
                throw CommandFailure.failed(
                    "\(old) has not been replaced within \(wait) (\(said)); the same command goes on with it, and a "
                        + "longer --wait waits longer")
            }
            try await Task.sleep(for: .milliseconds(500))
        }
    }

    /// As `member add` does.
    private func printStart(of name: String, _ progress: Progress) {
        Output.error("\(name) is a learner, \(progress.memberID); where it does not run yet, start it with an empty "
            + "directory and:\n")
        Output.print(
            """
            ETCD_NAME=\(GoText.quoted(name))
            ETCD_INITIAL_CLUSTER=\(GoText.quoted(progress.initialCluster))
            ETCD_INITIAL_ADVERTISE_PEER_URLS=\(GoText.quoted(peerUrls))
            ETCD_INITIAL_CLUSTER_STATE="existing"

            """)
    }

    /// - Returns: a failure where asking again may help.
    private func ask(_ question: [UInt8]) async throws(CommandFailure) -> Result<Progress, CommandFailure> {
        let endpoints = try global.servers()
        for endpoint in endpoints {
            guard
                let answer = await PlainHTTP.send(
                    "/admin/replace", json: question, to: endpoint, timeout: try global.timeout() + .seconds(5))
            else { continue }
            if answer.status == 200, let progress = try? JSONDecoder().decode(Progress.self, from: Data(answer.body)) {
                return .success(progress)
            }
            guard let refusal = try? JSONDecoder().decode(Refusal.self, from: Data(answer.body)) else {
                throw .failed(
                    "\(endpoint) is no member of Martlet (HTTP status \(answer.status)); at etcd, remove the old "
                        + "member and add the new one")
            }
            guard answer.status == 503 else { throw .failed(refusal.error) }
            return .failure(.failed(refusal.error))
        }
        return .failure(.failed("none of \(endpoints.map(\.text).joined(separator: ", ")) answers"))
    }
}
