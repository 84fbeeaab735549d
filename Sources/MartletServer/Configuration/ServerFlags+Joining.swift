/// Flags of joining by oneself and of autopilot, which etcd does not have (decision 0021).
extension ServerFlags {
    static let joining: [ServerFlag] = [
        flag(
            joinName, .clustering, .value("members"), default: "",
            "Join the cluster of these members: host:port of a client port, several with commas between them. This "
                + "member is taken in as a learner, catches up and then votes. Where there is data already, it just "
                + "starts."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.join = try joinList(text)
        },
        flag(
            joinTimeoutName, .clustering, .duration, default: "5m",
            "How long a member that joins asks for a place: nobody may answer, or another one may be joining."
        ) { (draft, text) throws(ConfigurationError) in
            let time = try FlagText.duration(text)
            guard time > .zero else { throw ConfigurationError("\"\(text)\" is no time at all") }
            draft.configuration.joinTimeout = time
        },
        flag(
            joinLearnerName, .clustering, .boolean, default: "false",
            "Stay a learner after joining, until martlet member promote."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.joinLearner = try FlagText.boolean(text)
        },
        flag(
            replaceName, .clustering, .value("member"), default: "",
            "With --join: take the place of this member, given by name or id. It goes in the same step in which this "
                + "one votes; the data directory must be empty."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.replaces = text.isEmpty ? nil : text
        },
        flag(
            "autopilot-remove-dead-after", .clustering, .duration, default: "0s",
            "Let the leader remove a member that it has not heard of for so long. At least ten election timeouts, the "
                + "same on all members. 0: dead members are named, and never removed."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.autopilotRemoveDeadAfter = try FlagText.duration(text)
        },
        flag(
            "autopilot-min-quorum", .clustering, .value("number"), default: "3",
            "How many voters have to be left for --autopilot-remove-dead-after to remove one."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.autopilotMinQuorum = try FlagText.integer(text, 1...1_000)
        },
    ]

    static let joinName = "join"
    static let joinTimeoutName = "join-timeout"
    static let joinLearnerName = "join-learner"
    static let replaceName = "replace"
    /// These are taken beside a configuration file: they say how this one start goes, not what the member is.
    static let besidesFile: Set<String> = [joinName, joinTimeoutName, joinLearnerName, replaceName]

    private static func joinList(_ text: String) throws(ConfigurationError) -> [ServerURL] {
        var urls: [ServerURL] = []
        if text.isEmpty { return [] }
        for part in text.split(separator: ",", omittingEmptySubsequences: false).map(\.trimmed) {
            let url: ServerURL
            do throws(ConfigurationError) {
                url = try ServerURL(parsing: part.utf8Range(of: "://") == nil ? "http://" + part : part)
            } catch {
                throw ConfigurationError("\"\(part)\" is not a member's client port; write it as host:port")
            }
            guard !urls.contains(url) else { throw ConfigurationError("\"\(part)\" is listed twice; name it once") }
            urls.append(url)
        }
        return urls
    }
}
