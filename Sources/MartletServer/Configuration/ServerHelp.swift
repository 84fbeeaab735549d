import EtcdAPI

/// The server's help and the page of its flags, made from the table of flags.
package enum ServerHelp {
    private static let width = 100

    package static let text: String = {
        var text = """
            Usage: martlet serve [flags]

              Runs one member of a cluster. The flags are etcd's; each may be given as an environment variable too:
              --my-flag is MARTLET_MY_FLAG or ETCD_MY_FLAG. A flag beats the environment.

            Examples:

              One member, for trying things out:
                martlet serve --data-dir /tmp/martlet

              The first of three members:
                martlet serve --name a --data-dir /var/lib/martlet \\
                  --listen-client-urls http://0.0.0.0:2379 --advertise-client-urls http://10.0.0.1:2379 \\
                  --listen-peer-urls http://0.0.0.0:2380 --initial-advertise-peer-urls http://10.0.0.1:2380 \\
                  --initial-cluster a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,c=http://10.0.0.3:2380

            """
        for group in ServerFlag.Group.allCases {
            let flags = ServerFlags.all.filter { $0.group == group && $0.isAvailable }
            guard !flags.isEmpty else { continue }
            text += "\n\(group.rawValue):\n\n"
            for flag in flags {
                text += "  --\(flag.name)\(placeholder(flag))\(defaultNote(flag))\n"
                for line in wrap(flag.help, width - 6) { text += "      \(line)\n" }
            }
        }
        text += """

            Other:

              --version
                  Prints the versions of etcd's API and of Martlet.
              --help
                  Prints this.

            Flags of etcd that are not available yet are refused unless they are given etcd's default.
            """
        return text
    }()

    /// The table of flags for the documentation.
    package static let markdown: String = {
        var text = "| flag | default | meaning |\n|---|---|---|\n"
        for group in ServerFlag.Group.allCases {
            let flags = ServerFlags.all.filter { $0.group == group && $0.isAvailable }
            guard !flags.isEmpty else { continue }
            text += "| **\(group.rawValue)** | | |\n"
            for flag in flags {
                let value = flag.defaultText.isEmpty ? "" : "`\(flag.defaultText)`"
                text += "| `--\(flag.name)` | \(value) | \(flag.help) |\n"
            }
        }
        let missing = ServerFlags.all.filter { !$0.isAvailable }.map { "`--\($0.name)`" }.sorted()
        return text + "\nNot available yet, and refused unless given etcd's default: " + missing.joined(separator: ", ")
            + ".\n"
    }()

    private static func placeholder(_ flag: ServerFlag) -> String {
        switch flag.kind {
        case .boolean: "[=true|false]"
        case .value(let placeholder): " <\(placeholder)>"
        case .duration: " <duration>"
        }
    }

    private static func defaultNote(_ flag: ServerFlag) -> String {
        flag.defaultText.isEmpty ? "" : "  (default: \(flag.defaultText))"
    }

    static func wrap(_ text: String, _ width: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        if !line.isEmpty { lines.append(line) }
        return lines
    }
}
