/// Flags of service discovery, which are Martlet's own. What opens a port, or connects to others, is off.
extension ServerFlags {
    static let services: [ServerFlag] = [
        flag(
            "dns-listen", .services, .value("addresses"), default: "",
            "Where DNS is answered for registered services, UDP and TCP: address:port, several with commas between "
                + "them, as in 127.0.0.1:8600. Nowhere unless it is given. Martlet's own."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.dnsListen = try text.split(separator: ",").map { part throws(ConfigurationError) in
                guard let place = HostAndPort(part.trimmed, mayLackHost: true) else {
                    throw ConfigurationError("\"\(part.trimmed)\" is not an address and a port, as 127.0.0.1:8600 is")
                }
                return place.host.isEmpty ? HostAndPort(host: "0.0.0.0", port: place.port) : place
            }
        },
        flag(
            "dns-domain", .services, .value("domain"), default: ServiceConfigurationDefaults.dnsDomain,
            "Below which name services are found in DNS and in SkyDNS's keys: the same on all members. Martlet's own."
        ) { (draft, text) throws(ConfigurationError) in
            let domain = (text.hasSuffix(".") ? String(text.dropLast()) : text).lowercased()
            // Room for an instance's name and a service's, of 63 each, in the 255 of a name.
            guard domain.utf8.count <= 100,
                domain.split(separator: ".", omittingEmptySubsequences: false).allSatisfy(
                    ServiceName.isLabel)
            else {
                throw ConfigurationError("\"\(text)\" is not a domain of at most 100 bytes, as martlet.internal is")
            }
            draft.configuration.dnsDomain = domain
        },
        flag(
            "dns-ttl", .services, .duration, default: "5s",
            "How long resolvers may keep an answer, and that there is none. Whole seconds. Martlet's own."
        ) { (draft, text) throws(ConfigurationError) in
            let (seconds, attoseconds) = try FlagText.duration(text).components
            guard attoseconds == 0, (0...86_400).contains(seconds) else {
                throw ConfigurationError("\"\(text)\" is not from 0s to 24h in whole seconds")
            }
            draft.configuration.dnsTTL = UInt32(seconds)
        },
        flag(
            "enable-service-checks", .services, .boolean, default: "false",
            "Let clients register checks: the leader then connects to the addresses that they register. The same on "
                + "all members. Martlet's own."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.enableServiceChecks = try FlagText.boolean(text)
        },
    ]
}
