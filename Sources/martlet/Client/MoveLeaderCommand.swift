import ArgumentParser
import EtcdAPI
import MartletClient

struct MoveLeaderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "move-leader", abstract: "Has another member lead.",
        usage: "martlet move-leader <id> [options]",
        discussion: "The leader must be one of the endpoints.")

    @Argument(help: "The id of the member that is to lead, in hexadecimal.") var arguments: [String] = []
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        guard arguments.count == 1 else { throw CommandFailure.badArguments("move-leader command needs 1 argument") }
        let target = try MemberCommand.id(arguments[0])
        let format = try global.format(noneOf: [.fields, .table])
        let endpoints = try global.servers()
        let base = try global.client(of: endpoints)
        for endpoint in endpoints {
            let client = base.only(endpoint)
            let result = await Self.move(client, to: target)
            await client.shutdown()
            switch result {
            case nil: continue
            case .failure(let error)?:
                throw CommandFailure(error, timeout: try global.timeout(), isWrite: true)
            case .success(let (leader, response))?:
                return try global.write { () throws(UnsupportedFormat) in
                    try MembershipOutput.moveLeader(response, from: leader, to: target, format)
                }
            }
        }
        throw CommandFailure.badArguments(
            "no leader endpoint given at [\(endpoints.map(\.text).joined(separator: " "))]; name the leader's with "
                + "--endpoints (martlet endpoint status --cluster shows it)")
    }

    /// nil where this endpoint is not the leader, or does not answer.
    private static func move(
        _ client: EtcdClient, to target: UInt64
    ) async -> Result<(leader: UInt64, response: Etcdserverpb_MoveLeaderResponse), ClientError>? {
        let leader: UInt64
        do throws(ClientError) {
            let status = try await client.status()
            guard status.leader == status.header.memberID else { return nil }
            leader = status.leader
        } catch {
            return nil
        }
        do throws(ClientError) {
            return .success((leader, try await client.moveLeader(to: target)))
        } catch {
            return .failure(error)
        }
    }
}
