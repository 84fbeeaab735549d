import ArgumentParser
import MartletServer

/// Runs one member. Declared here for the list of commands; the server's own parser reads its arguments.
struct ServeCommand: AsyncParsableCommand {
    static let name = "serve"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Runs one member of a cluster, with etcd's flags.")

    @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

    func run() async throws { try await Self.run(arguments) }

    static func run(_ arguments: [String]) async throws {
        let invocation: ServerInvocation
        do throws(ConfigurationError) {
            invocation = try ConfigurationParser().parse(arguments)
        } catch {
            throw CommandFailure.failed(error.message)
        }
        switch invocation {
        case .print(let text): Output.print(text + "\n")
        case .run(let configuration): try await serve(configuration)
        }
    }
}
