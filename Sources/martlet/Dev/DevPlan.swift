/// What `martlet dev` starts: names, ports, directories and arguments of each member.
struct DevPlan: Equatable {
    static let membersMax = 6
    static let portMax = 65_535

    struct Member: Equatable {
        let name: String
        let clientPort: Int
        var peerPort: Int { clientPort + 1 }
        let dataDirectory: String

        var clientURL: String { "http://127.0.0.1:\(clientPort)" }
        var peerURL: String { "http://127.0.0.1:\(peerPort)" }
    }

    let members: [Member]
    let dataDirectory: String

    /// The first member is at the base port, the others where etcd's Procfile has them: 20000 above it, 30000 above
    /// it, ...
    init(members count: Int, dataDirectory: String, basePort: Int) throws(CommandFailure) {
        guard (1...Self.membersMax).contains(count) else {
            throw .badArguments("--members is \(count); use 1 to \(Self.membersMax), best an odd number")
        }
        let highest = count == 1 ? basePort + 1 : basePort + 10_000 * count + 1
        guard basePort >= 1, highest <= Self.portMax else {
            let most = Self.portMax - (highest - basePort)
            throw .badArguments(
                "--base-port is \(basePort), which leaves no ports for \(count) members; use 1 to \(most)")
        }
        self.dataDirectory = dataDirectory
        members = (0..<count).map { index in
            let name = "m\(index + 1)"
            return Member(
                name: name, clientPort: index == 0 ? basePort : basePort + 10_000 * (index + 1),
                dataDirectory: dataDirectory + "/" + name)
        }
    }

    /// What the members are started with.
    func arguments(of member: Member) -> [String] {
        [
            "serve", "--name", member.name, "--data-dir", member.dataDirectory,
            "--listen-client-urls", member.clientURL, "--advertise-client-urls", member.clientURL,
            "--listen-peer-urls", member.peerURL, "--initial-advertise-peer-urls", member.peerURL,
            "--initial-cluster", members.map { "\($0.name)=\($0.peerURL)" }.joined(separator: ","),
            "--initial-cluster-state", "new", "--initial-cluster-token", "martlet-dev",
            "--log-level", "warn", "--log-format", "console", "--log-outputs", "stderr",
        ]
    }

    var endpoints: String { members.map { "127.0.0.1:\($0.clientPort)" }.joined(separator: ",") }

    /// One line that says what the data directory holds, so that it is not started as another cluster.
    var signature: String {
        members.map { "\($0.name) \($0.clientPort)" }.joined(separator: "\n") + "\n"
    }

    /// What to do where the data directory has another signature.
    func mismatch(with found: String) -> CommandFailure {
        let lines = found.split(separator: "\n")
        let port = lines.first?.split(separator: " ").last.map(String.init) ?? "2379"
        return .failed(
            "\(dataDirectory) holds a cluster of \(lines.count) at port \(port); start that one with --members "
                + "\(lines.count) "
                + "--base-port \(port), or name another --data-dir")
    }

    /// What is printed when all members are ready.
    var greeting: String {
        let width = members.map(\.name.count).max()!
        let rows = members.map { member in
            "  " + member.name + String(repeating: " ", count: width - member.name.count)
                + "  \(member.clientURL)  (data in \(member.dataDirectory))"
        }
        let count = members.count == 1 ? "1 member is" : "\(members.count) members are"
        // What is the default needs no flag.
        let flag = members[0].clientPort == 2379 ? "" : " --endpoints 127.0.0.1:\(members[0].clientPort)"
        return """
            \(count) ready:

            \(rows.joined(separator: "\n"))

            Put and get a key:

              martlet put\(flag) greeting hello
              martlet get\(flag) greeting
              etcdctl --endpoints \(endpoints) get greeting

            See how the members are:

              martlet status --endpoints \(endpoints)

            Ctrl-C stops them. The same command starts them again, with their data.

            """
    }
}
