/// Flags of the checks for corruption, and the feature gates that switch them on since etcd 3.6. The spellings with
/// `experimental-` in front are etcd 3.5's.
extension ServerFlags {
    static let corruption: [ServerFlag] = [
        ServerFlag(
            name: "initial-corrupt-check", group: .features, kind: .boolean, defaultText: "false",
            help: "Compare the data with the other members' before clients are served; a member whose data is not what "
                + "others have does not start.",
            effect: .set { (draft, text) throws(ConfigurationError) in
                draft.configuration.initialCorruptCheck = try FlagText.boolean(text)
            }),
        flag(
            "corrupt-check-time", .features, .duration, default: "0s",
            "How often the leader compares all members' data, and raises the alarm CORRUPT where it differs. 0: never."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.corruptCheckTime = try FlagText.duration(text)
        },
        flag(
            "running-hash-check-time", .features, .duration, default: "5s",
            "How often the leader compares what the members have made of the log so far, which costs next to nothing, "
                + "and raises the alarm CORRUPT where it differs. 0: never. Martlet's own."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.runningHashCheckTime = try FlagText.duration(text)
        },
        ServerFlag(
            name: "compact-hash-check-enabled", group: .features, kind: .boolean, defaultText: "false",
            help: "Let the leader compare what compactions have left on the members.",
            effect: .set { (draft, text) throws(ConfigurationError) in
                draft.configuration.compactHashCheck = try FlagText.boolean(text)
            }),
        flag(
            "compact-hash-check-time", .features, .duration, default: "1m",
            "How often it is looked whether there is a compaction to compare, where that is on."
        ) { (draft, text) throws(ConfigurationError) in
            let interval = try FlagText.duration(text)
            guard interval > .zero else { throw ConfigurationError("\"\(text)\" is no time at all") }
            draft.configuration.compactHashCheckTime = interval
        },
        flag(
            "feature-gates", .features, .value("gates"), default: "",
            "Features to switch on or off, name=true with commas between them: InitialCorruptCheck, CompactHashCheck."
        ) { (draft, text) throws(ConfigurationError) in
            try FeatureGates.set(text, in: &draft.configuration)
        },
    ]
}

/// etcd's feature gates: the two that do something here, and the others as far as they are left as they are.
enum FeatureGates {
    /// What etcd has them at.
    private static let others = [
        "StopGRPCServiceOnDefrag": false, "TxnModeWriteWithSharedBuffer": true, "LeaseCheckpoint": false,
        "LeaseCheckpointPersist": false, "SetMemberLocalAddr": false, "FastLeaseKeepAlive": true,
        "PriorityRequest": false, "AllAlpha": false, "AllBeta": false,
    ]

    static func set(_ text: String, in configuration: inout ServerConfiguration) throws(ConfigurationError) {
        for part in text.split(separator: ",").map(\.trimmed) where !part.isEmpty {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2 else {
                throw ConfigurationError("\"\(part)\" is not a feature gate; write it as name=true")
            }
            let name = String(sides[0]).trimmed
            let isOn = try FlagText.boolean(String(sides[1]).trimmed)
            switch name {
            case "InitialCorruptCheck": configuration.initialCorruptCheck = isOn
            case "CompactHashCheck": configuration.compactHashCheck = isOn
            default:
                guard let usual = others[name] else {
                    throw ConfigurationError("there is no feature gate \(name)")
                }
                guard isOn == usual else {
                    throw ConfigurationError("the feature gate \(name) is \(usual) here and cannot be changed")
                }
            }
        }
    }
}
