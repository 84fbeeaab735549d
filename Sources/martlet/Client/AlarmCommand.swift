import ArgumentParser
import EtcdAPI
import MartletClient

struct AlarmCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alarm", abstract: "Lists the alarms that members have raised, and takes them back.",
        discussion: """
            NOSPACE: a member's data is larger than its quota, and the cluster takes no more writes; see compaction \
            and defrag. CORRUPT: a member's data is not that of the others.
            """,
        subcommands: [AlarmListCommand.self, AlarmDisarmCommand.self])
}

struct AlarmListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists all alarms.",
        usage: "martlet alarm list [options]")

    @Argument(help: .hidden) var arguments: [String] = []
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        guard arguments.isEmpty else {
            throw CommandFailure.badArguments("alarm list command accepts no arguments")
        }
        let format = try global.format(noneOf: [.table])
        let response = try await global.call { (client) throws(ClientError) in try await client.alarmList() }
        try global.write { () throws(UnsupportedFormat) in try AlarmOutput.alarms(response, format) }
    }
}

struct AlarmDisarmCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disarm", abstract: "Takes all alarms back; a member whose reason lasts raises it again.",
        usage: "martlet alarm disarm [options]")

    @Argument(help: .hidden) var arguments: [String] = []
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        guard arguments.isEmpty else {
            throw CommandFailure.badArguments("alarm disarm command accepts no arguments")
        }
        let format = try global.format(noneOf: [.table])
        let response = try await global.call(isWrite: true) { (client) throws(ClientError) in
            // There is no call for all of them at once.
            var disarmed = Etcdserverpb_AlarmResponse()
            for alarm in try await client.alarmList().alarms {
                disarmed.alarms += try await client.alarmDisarm(member: alarm.memberID, alarm.alarm).alarms
            }
            return disarmed
        }
        try global.write { () throws(UnsupportedFormat) in try AlarmOutput.alarms(response, format) }
    }
}
