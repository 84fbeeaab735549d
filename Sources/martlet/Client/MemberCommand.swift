import ArgumentParser
import EtcdAPI
import MartletClient

struct MemberCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "member", abstract: "Asks about the members of the cluster, and changes them.",
        subcommands: [
            MemberListCommand.self, MemberAddCommand.self, MemberRemoveCommand.self, MemberUpdateCommand.self,
            MemberPromoteCommand.self, MemberReplaceCommand.self, MemberStatusCommand.self,
        ])

    /// A member's id as it is printed.
    static func id(_ text: String) throws(CommandFailure) -> UInt64 {
        guard let id = UInt64(text, radix: 16) else {
            throw .badArguments("bad member ID arg (\(text)), expecting ID in Hex")
        }
        return id
    }

    /// The one member that a command has for an argument: its id or, where it is none, its name.
    static func onlyMember(
        _ arguments: [String], _ global: GlobalOptions
    ) async throws(CommandFailure) -> UInt64 {
        try await member(try only(arguments), global)
    }

    static func only(_ arguments: [String]) throws(CommandFailure) -> String {
        guard arguments.count == 1 else { throw .badArguments("member ID is not provided, or more than one is") }
        return arguments[0]
    }

    static func member(_ text: String, _ global: GlobalOptions) async throws(CommandFailure) -> UInt64 {
        if let id = UInt64(text, radix: 16) { return id }
        let list: [Etcdserverpb_Member]
        do {
            list = try await global.call { (client) throws(ClientError) in
                // What this endpoint has: the cluster may have lost its majority, and want a member back.
                try await client.memberList(linearizable: false)
            }.members
        } catch {
            // etcdctl says so without asking anybody.
            return try id(text)
        }
        let named = list.filter { $0.name == text && !text.isEmpty }
        guard named.count <= 1 else {
            let ids = named.map { GoText.hex($0.id) }.joined(separator: ", ")
            throw .badArguments("there are several members called \(text); name one by its id: \(ids)")
        }
        if let member = named.first { return member.id }
        return try id(text)
    }
}

struct MemberListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the members.",
        usage: "martlet member list [options]")

    @Option(help: "l: as of now, agreed with the others. s: what this member has.") var consistency = "l"
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        guard consistency == "l" || consistency == "s" else {
            throw CommandFailure.badFeature("unknown consistency flag \"\(consistency)\"; use l or s")
        }
        let format = try global.format()
        let response = try await global.call { (client) throws(ClientError) in
            try await client.memberList(linearizable: consistency == "l")
        }
        Output.write(ClusterOutput.memberList(response, format, hex: global.prefersHex))
    }
}

struct MemberAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Adds a member, and prints how it is to be started.",
        usage: "martlet member add <name> --peer-urls <urls> [--learner] [options]",
        discussion:
            "Then start it with an empty directory: martlet serve with what is printed, as flags or environment.")

    @Argument(help: "The new member's name.") var arguments: [String] = []
    @Option(
        help: ArgumentHelp("Where other members find it, several with commas between them.", valueName: "urls"))
    var peerUrls = ""
    @Flag(help: "As a learner: it gets everything, and does not vote until it is promoted.") var learner = false
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func checked() throws(CommandFailure) -> (name: String, urls: [String]) {
        guard let name = arguments.first else { throw .badArguments("member name not provided") }
        guard arguments.count == 1 else { throw .badArguments("too many arguments") }
        guard !peerUrls.isEmpty else { throw .badArguments("member peer urls not provided; use --peer-urls") }
        return (name, peerUrls.split(separator: ",", omittingEmptySubsequences: false).map(String.init))
    }

    func run() async throws {
        let (name, urls) = try checked()
        let format = try global.format(noneOf: [.fields, .table])
        let isLearner = learner
        let response = try await global.call(isWrite: true) { (client) throws(ClientError) in
            try await client.memberAdd(peerURLs: urls, asLearner: isLearner)
        }
        try global.write { () throws(UnsupportedFormat) in
            try MembershipOutput.add(response, name: name, urls: peerUrls, format)
        }
    }
}

struct MemberRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Removes a member.",
        usage: "martlet member remove <id or name> [options]")

    @Argument(help: "The member's id, in hexadecimal, or its name.") var arguments: [String] = []
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        let id = try await MemberCommand.onlyMember(arguments, global)
        let format = try global.format(noneOf: [.fields, .table])
        let response: Etcdserverpb_MemberRemoveResponse
        do throws(CommandFailure) {
            response = try await global.call(isWrite: true) { (client) throws(ClientError) in
                try await client.memberRemove(id)
            }
        } catch {
            throw await RemovalAdvice(global: global).explained(error, removing: id)
        }
        try global.write { () throws(UnsupportedFormat) in try MembershipOutput.remove(response, id: id, format) }
    }
}

struct MemberUpdateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Changes where the others find a member.",
        usage: "martlet member update <id or name> --peer-urls <urls> [options]")

    @Argument(help: "The member's id, in hexadecimal, or its name.") var arguments: [String] = []
    @Option(
        help: ArgumentHelp("Where other members find it, several with commas between them.", valueName: "urls"))
    var peerUrls = ""
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        guard arguments.count != 1 || !peerUrls.isEmpty else {
            throw CommandFailure.badArguments("member peer urls not provided; use --peer-urls")
        }
        let id = try await MemberCommand.onlyMember(arguments, global)
        let urls = peerUrls.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let format = try global.format(noneOf: [.fields, .table])
        let response = try await global.call(isWrite: true) { (client) throws(ClientError) in
            try await client.memberUpdate(id, peerURLs: urls)
        }
        try global.write { () throws(UnsupportedFormat) in try MembershipOutput.update(response, id: id, format) }
    }
}

struct MemberPromoteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promote", abstract: "Makes a learner vote.",
        usage: "martlet member promote <id or name> [options]")

    @Argument(help: "The learner's id, in hexadecimal, or its name.") var arguments: [String] = []
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        let id = try await MemberCommand.onlyMember(arguments, global)
        let format = try global.format(noneOf: [.fields, .table])
        let response = try await global.call(isWrite: true) { (client) throws(ClientError) in
            try await client.memberPromote(id)
        }
        try global.write { () throws(UnsupportedFormat) in try MembershipOutput.promote(response, id: id, format) }
    }
}
