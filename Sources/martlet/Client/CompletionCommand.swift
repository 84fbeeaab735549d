import ArgumentParser

struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion", abstract: "Prints a script that has a shell complete martlet's commands.",
        usage: "martlet completion (bash | zsh | fish)",
        discussion: """
            Examples:
              source <(martlet completion bash)
              martlet completion zsh > "${fpath[1]}/_martlet"
              martlet completion fish > ~/.config/fish/completions/martlet.fish
            """)

    @Argument(help: ArgumentHelp("bash, zsh or fish.", valueName: "shell")) var arguments: [String] = []

    func run() throws {
        guard arguments.count == 1, let shell = CompletionShell(rawValue: arguments[0]) else {
            throw CommandFailure.failed("completion takes the name of a shell: bash, zsh or fish")
        }
        Output.print(Martlet.completionScript(for: shell) + "\n")
    }
}
