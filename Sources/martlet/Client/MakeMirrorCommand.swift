import ArgumentParser
import EtcdAPI
import Foundation
import MartletClient
import Synchronization

struct MakeMirrorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make-mirror", abstract: "Copies keys to another cluster, and keeps the copy up to date.",
        usage: "martlet make-mirror <destination> [options]",
        discussion: """
            Runs until it is stopped, and prints every 30 seconds how many keys it has copied. Keys that are deleted \
            while it does not run stay in the copy.

            Example:
              martlet make-mirror --prefix config/ --dest-prefix backup/config/ other.example:2379
            """)

    @Argument(help: ArgumentHelp("A member of the other cluster.", valueName: "destination")) var arguments: [String] =
        []
    @Option(help: "Copy the keys that begin with it.") var prefix = ""
    @Option(help: "What the copies begin with instead.") var destPrefix = ""
    @Flag(help: "The copies begin with nothing instead.") var noDestPrefix = false
    @Option(help: "Copy what happens from this revision on, and not what there is.") var rev: Int64 = 0
    @Option(help: "How many keys one transaction copies at most.") var maxTxnOps = 128
    @Flag(inversion: .prefixedNo, help: .hidden) var destInsecureTransport = true
    @Option(help: .hidden) var destCert: String?
    @Option(help: .hidden) var destKey: String?
    @Option(help: .hidden) var destCacert: String?
    @Option(help: .hidden) var destUser: String?
    @Option(help: .hidden) var destPassword: String?
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        guard arguments.count == 1 else {
            throw CommandFailure.badArguments("make-mirror takes one destination argument")
        }
        if noDestPrefix, !destPrefix.isEmpty {
            throw CommandFailure.badArguments(
                "`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one")
        }
        guard maxTxnOps > 0 else { throw CommandFailure.badArguments("--max-txn-ops: a transaction has 1 at least") }
        let isSecured = [destCert, destKey, destCacert, destUser, destPassword].contains { $0?.isEmpty == false }
        guard destInsecureTransport, !isSecured else {
            throw CommandFailure.badArguments(
                "TLS and users are not available yet; leave the flags --dest-cert, --dest-key, --dest-cacert, "
                    + "--dest-user, --dest-password and --dest-insecure-transport away")
        }
        let endpoint: Endpoint
        do throws(ClientError) {
            endpoint = try Endpoint(parsing: arguments[0])
        } catch {
            throw CommandFailure(error, timeout: .zero)
        }
        var mirror = Mirror(from: try global.client(), to: try global.client(of: [endpoint]))
        mirror.prefix = ArgumentBytes.bytes(prefix)
        mirror.destinationPrefix =
            noDestPrefix ? [] : destPrefix.isEmpty ? mirror.prefix : ArgumentBytes.bytes(destPrefix)
        mirror.startRevision = rev
        mirror.operationsMax = maxTxnOps
        let counter = Counter()
        let reporting = Task {
            while true {
                try await Task.sleep(for: .seconds(30))
                Output.print("\(counter.total.withLock { $0 })\n")
            }
        }
        defer { reporting.cancel() }
        do throws(ClientError) {
            try await mirror.run { count in counter.total.withLock { $0 += count } }
        } catch {
            throw CommandFailure(error, timeout: try global.timeout())
        }
    }

    private final class Counter: Sendable {
        let total = Mutex(0)
    }
}
