import ArgumentParser
import EtcdAPI
import MartletClient

struct DefragCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "defrag", abstract: "Gives the space that compaction freed back to the file system.",
        usage: "martlet defrag [--cluster] [options]",
        discussion: """
            One member after the other. An etcd member answers nothing while it is at it: give it time with \
            --command-timeout.

            Example:
              martlet defrag --cluster --command-timeout 60s
            """)

    @OptionGroup var options: EndpointOptions

    func run() async throws {
        let endpoints = try await options.endpoints()
        let base = try options.global.client(of: endpoints)
        var failed = false
        for endpoint in endpoints {
            let client = base.only(endpoint)
            do throws(ClientError) {
                _ = try await client.defragment()
                Output.print("Finished defragmenting etcd member[\(endpoint)]\n")
            } catch {
                failed = true
                Output.error("Failed to defragment etcd member[\(endpoint)] (\(error))\n")
            }
            await client.shutdown()
        }
        if failed { throw CommandFailure(message: "", exitCode: CommandFailure.errorCode) }
    }
}
