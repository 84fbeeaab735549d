import Yams

/// `{"ID": "n1", "Nodes": [{"ID": "n1", "Endpoint": "10.0.0.1:3332"}, ...]}`: a node's own id, and where all of them
/// are (G3). Go reads such keys whatever their case, and so does this.
enum NodeListFile {
    static func translate(
        _ mapping: inout Node.Mapping, _ path: String, joins: Bool
    ) throws(ConfigurationError) -> ConfigurationFile.Translation? {
        let keys = Set(mapping.keys.compactMap { $0.string?.lowercased() })
        guard keys.contains("id"), keys.contains("nodes"), let idNode = ConfigurationFile.take("ID", from: &mapping),
            let listNode = ConfigurationFile.take("Nodes", from: &mapping)
        else { return nil }
        guard let id = ConfigurationFile.scalar(idNode), !id.isEmpty else {
            throw ConfigurationError("ID in \(path) is not a word; it is the id of this node")
        }
        guard case .sequence(let nodes) = listNode else {
            throw ConfigurationError("Nodes in \(path) is not a list of {\"ID\": ..., \"Endpoint\": \"host:port\"}")
        }
        var members: [(id: String, url: ServerURL)] = []
        for node in nodes {
            guard case .mapping(var entry) = node,
                let name = ConfigurationFile.take("ID", from: &entry).flatMap(ConfigurationFile.scalar),
                let endpoint = ConfigurationFile.take("Endpoint", from: &entry).flatMap(ConfigurationFile.scalar),
                entry.isEmpty
            else {
                throw ConfigurationError(
                    "Nodes in \(path) has an element that is not {\"ID\": ..., \"Endpoint\": \"host:port\"}")
            }
            members.append((name, try ConfigurationFile.url(endpoint, "Endpoint of \(name) in \(path)")))
        }
        guard let own = members.first(where: { $0.id == id }) else {
            let names = members.map(\.id).joined(separator: ", ")
            throw ConfigurationError("ID in \(path) is \(id), and Nodes has no such node, only \(names)")
        }
        var translation = ConfigurationFile.Translation()
        func set(_ flag: String, _ text: String, _ key: String) {
            translation.settings[flag] = .init(text: text, source: "\(key) in \(path)")
        }
        set("name", id, "ID")
        set("listen-peer-urls", ConfigurationFile.listenURL(own.url).description, "Nodes")
        set("initial-advertise-peer-urls", own.url.description, "Nodes")
        if joins {
            translation.warnings.append("--join is given, so Nodes in \(path) says only where this member is")
        } else {
            set("initial-cluster", members.map { "\($0.id)=\($0.url)" }.joined(separator: ","), "Nodes")
        }
        return translation
    }
}
