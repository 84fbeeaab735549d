import ArgumentParser
import Foundation
import MartletClient

struct ServiceListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the healthy instances of a service, or the services that there are.",
        usage: "martlet service list [<service>] [options]",
        discussion: """
            Examples:
              martlet service list
              martlet service list web --tag v2 -w table
              martlet service list web --all      with those that fail their checks
            """)

    @Argument(help: ArgumentHelp("The service; all services' names if none is given.", valueName: "service"))
    var arguments: [String] = []
    @Option(help: "Only instances with this tag; may be given again.") var tag: [String] = []
    @Flag(help: "Instances that fail their checks, too.") var all = false
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        guard arguments.count <= 1 else { throw CommandFailure.badArguments("service list takes one service or none") }
        guard !arguments.isEmpty || tag.isEmpty && !all else {
            throw CommandFailure.badArguments("of which service? --tag and --all are about instances")
        }
        let format = try global.format(noneOf: [.protobuf])
        let services = try await global.services()
        do throws(ServiceClient.Failure) {
            if let service = arguments.first {
                let answer = try await services.list(service, tags: tag, all: all)
                try? global.write { () throws(UnsupportedFormat) in
                    try ServiceOutput.list(answer.listing, json: answer.json, format)
                }
            } else {
                let answer = try await services.names()
                try? global.write { () throws(UnsupportedFormat) in
                    try ServiceOutput.names(answer.names, json: answer.json, format)
                }
            }
        } catch {
            throw CommandFailure(error)
        }
    }
}

struct ServiceWatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Prints the healthy instances of a service, and then each that comes or goes.",
        usage: "martlet service watch <service> [options]",
        discussion: """
            Example:
              martlet service watch web -w json | while read -r event; do ...; done
            """)

    @Argument(help: ArgumentHelp("The service.", valueName: "service"))
    var arguments: [String] = []
    @Option(help: "Only instances with this tag; may be given again.") var tag: [String] = []
    @Flag(help: "Instances that fail their checks, too.") var all = false
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    /// How long one request waits for a change.
    private static let patience = Duration.seconds(60)
    private static let retryPause = Duration.seconds(1)

    func run() async throws {
        guard arguments.count == 1 else { throw CommandFailure.badArguments("service watch needs one service") }
        let format = try global.format(noneOf: [.table, .protobuf])
        let services = try await global.services()
        let interruption = Interruption()
        interruption.onSignal { Interruption.end(by: $0) }
        var known: [ServiceInstanceListing] = []
        var revision: Int64?
        var isLost = false
        while true {
            let listing: ServiceListing
            do throws(ServiceClient.Failure) {
                let change = revision.map { (after: $0, within: Self.patience) }
                listing = try await services.list(arguments[0], tags: tag, all: all, change: change).listing
            } catch {
                // What was wrong from the beginning is wrong; what stops later may come back.
                guard revision != nil, error.status.map({ $0 >= 500 }) ?? true else { throw CommandFailure(error) }
                if !isLost { Output.error("the watch is interrupted (\(error.message)), and goes on when it can\n") }
                isLost = true
                try await Task.sleep(for: Self.retryPause)
                continue
            }
            isLost = false
            revision = listing.revision
            for event in ServiceEvent.between(known, listing.instances) {
                try global.write { () throws(UnsupportedFormat) in try ServiceOutput.event(event, format) }
            }
            known = listing.instances
        }
    }
}
