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

            The other flags of etcd are taken with a warning where they would change nothing here, and refused where
            they would, unless they are given etcd's default: Documentation/flags.md.
            """
        return text
    }()

    /// The page of flags, Documentation/flags.md.
    package static let markdown: String = {
        var text = """
            # The flags of `martlet serve`

            Made from the table of flags (`Sources/MartletServer/Configuration/ServerFlags.swift`); a test holds this
            page against it, and `MARTLET_FLAGS_REWRITE=1 swift test --filter FlagsPage` writes it anew.

            Every flag of etcd 3.6 is here, and some of our own, in groups that say so. Each can be given as an
            environment variable, `--data-dir` as
            `MARTLET_DATA_DIR` or `ETCD_DATA_DIR`, and stand in the file that `--config-file` names, as `data-dir`;
            those of TLS and discovery stand in blocks there, as in etcd's. A flag beats `MARTLET_...`, which beats
            `ETCD_...`; a file beats all three. The spellings `--experimental-...` of etcd 3.5 are known too.

            - **yes**: it does what it does in etcd.
            - **no effect**: it is taken, with a warning in the log; why nobody misses it is beside it.
            - **refused**, **not yet**: the member does not start with it, and says why, unless it is given its default.


            """
        for group in ServerFlag.Group.allCases {
            let flags = ServerFlags.all.filter { $0.group == group }
            guard !flags.isEmpty else { continue }
            text += "## \(group.rawValue)\n\n| flag | default | | |\n|---|---|---|---|\n"
            for flag in flags {
                let value = flag.defaultText.isEmpty ? "" : "`\(flag.defaultText)`"
                let (state, meaning) = description(flag)
                text += "| `--\(flag.name)` | \(value) | \(state) | \(meaning) |\n"
            }
            text += "\n"
        }
        return String(text.dropLast())
    }()

    private static func description(_ flag: ServerFlag) -> (state: String, meaning: String) {
        func sentence(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() + "." }
        return switch flag.effect {
        case .set: ("yes", flag.help)
        case .ignored(let reason): ("no effect", sentence(reason))
        case .refused(let advice): ("refused", sentence(advice))
        case .notYet(let what): ("not yet", sentence(what))
        }
    }

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
