import ArgumentParser
import MartletClient

struct ServiceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "service", abstract: "Registers instances of services, lists the healthy ones and watches them.",
        discussion: """
            Examples:
              martlet service register web --address 10.0.0.1 --port 8080     until it is stopped
              martlet service register web --address 10.0.0.2 --port 8080 --check-http /healthz
              martlet service list web
              martlet service watch web
              martlet service deregister web 10-0-0-2-8080

            Where a server has --dns-listen, DNS answers too: dig @SERVER -p PORT web.service.martlet.internal SRV
            """,
        subcommands: [
            ServiceRegisterCommand.self, ServiceDeregisterCommand.self, ServiceListCommand.self,
            ServiceWatchCommand.self,
        ])
}

extension GlobalOptions {
    /// A client of the HTTP API at the endpoints.
    func services() async throws(CommandFailure) -> ServiceClient {
        // Refuses the flags that are not there yet.
        let client = try client()
        await client.shutdown()
        return ServiceClient(endpoints: try servers(), timeout: try timeout())
    }
}

extension CommandFailure {
    init(_ failure: ServiceClient.Failure) {
        self.init(message: failure.message, exitCode: Self.errorCode)
    }
}
