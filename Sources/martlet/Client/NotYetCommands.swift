import ArgumentParser

/// etcdctl's commands about users: they are named, so that nobody looks for them in vain.
enum NotYet {
    static func refusal(_ command: String) -> CommandFailure {
        .failed("martlet \(command) is not there yet: it comes with users and roles (Documentation/roadmap.md)")
    }
}

struct AuthCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "auth", abstract: "Not there yet: authentication.", shouldDisplay: false)
    @Argument(parsing: .captureForPassthrough) var arguments: [String] = []
    func run() throws { throw NotYet.refusal("auth") }
}

struct UserCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "Not there yet: users.", shouldDisplay: false)
    @Argument(parsing: .captureForPassthrough) var arguments: [String] = []
    func run() throws { throw NotYet.refusal("user") }
}

struct RoleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "role", abstract: "Not there yet: roles.", shouldDisplay: false)
    @Argument(parsing: .captureForPassthrough) var arguments: [String] = []
    func run() throws { throw NotYet.refusal("role") }
}
