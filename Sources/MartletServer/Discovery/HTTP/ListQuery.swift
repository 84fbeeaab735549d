import MVCC
import NIOCore

/// What a list is asked for.
struct ListQuery: Sendable {
    /// What is listed, whenever.
    struct Subject: Hashable, Sendable {
        /// Nil: the names of all services.
        var service: String?
        var tags: [String] = []
        /// Instances whose check fails, too.
        var withCritical = false
    }

    private(set) var subject = Subject()
    var service: String? { subject.service }
    var tags: [String] { subject.tags }
    var withCritical: Bool { subject.withCritical }
    /// Wait for a change for so long; nil: answer at once.
    var wait: TimeAmount?
    /// A change after this revision; nil: after now.
    var index: Revision?

    static let items = ["tag", "healthy", "wait", "index", "timeout"]
    static let streamItems = ["tag", "healthy", "index"]

    init(
        _ request: PlainRequest, service: String?, limits: DiscoveryLimits, known items: [String] = Self.items
    ) throws(APIError) {
        subject.service = service
        for item in request.query.split(separator: "&") {
            let name = String(item.prefix { $0 != "=" })
            guard items.contains(name) else {
                let hint = Suggestion.nearest(to: name, among: items).map { "; did you mean \($0)?" }
                throw .badRequest(
                    "there is no \"\(name)\" to ask for" + (hint ?? "; there is " + items.joined(separator: ", ")))
            }
        }
        subject.tags = request.queryValues("tag").map { $0.lowercased() }
        guard tags.count <= limits.tagsMax else { throw .badRequest("at most \(limits.tagsMax) tags can be asked for") }
        if let text = request.queryValues("healthy").last { subject.withCritical = !(try Self.flag("healthy", text)) }
        if let text = request.queryValues("index").last {
            guard let number = Int64(text), number >= 0, number < .max else {
                throw .badRequest("\"index\" is the revision of an answer, not \"\(text)\"")
            }
            index = Revision(number)
        }
        // A flag, or the time itself; or the time beside it, as for keys.
        var wants = false
        var time = limits.waitDefault
        if let text = request.queryValues("wait").last {
            if let flag = try? Self.flag("wait", text) {
                wants = flag
            } else {
                wants = true
                time = try Self.time("wait", text)
            }
        }
        if let text = request.queryValues("timeout").last { time = try Self.time("timeout", text) }
        if wants { wait = min(time, limits.waitMax) }
    }

    private static func flag(_ name: String, _ text: String) throws(APIError) -> Bool {
        switch text {
        case "", "1", "true": return true
        case "0", "false": return false
        default: throw .badRequest("\"\(name)\" is true or false, not \"\(text)\"")
        }
    }

    private static func time(_ name: String, _ text: String) throws(APIError) -> TimeAmount {
        if let duration = GoDuration.parse(text) { return TimeAmount(duration) }
        if let seconds = Int64(text), (0...1_000_000).contains(seconds) { return .seconds(seconds) }
        throw .badRequest("\"\(name)\" is a time such as 30s, not \"\(text)\"")
    }

    /// Where nobody can register such a service. One that a client of etcd has put there is listed, whatever it is
    /// called.
    func refusal(in directory: ServiceDirectory) throws(ReadError) -> APIError? {
        guard let service, let refusal = ServiceName.refusal(of: service, "a service") else { return nil }
        return try directory.knows(service) ? nil : refusal
    }

    /// What has to change for another answer.
    var ranges: [KeyRange] {
        let healthy = service.map(ServiceLayout.instances) ?? ServiceLayout.allInstances
        let checks = service.map(ServiceLayout.checks) ?? ServiceLayout.allChecks
        return withCritical || service == nil ? [healthy, checks] : [healthy]
    }
}
