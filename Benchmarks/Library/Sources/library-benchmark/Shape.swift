/// One row of the table: what runs, and how much of it at once.
struct Shape: Hashable, Sendable {
    enum Place: String, CaseIterable, Sendable {
        case memory, disk
    }
    enum Wire: String, Sendable {
        case inMemory = "in memory"
        case tcp = "TCP"
    }

    var members: Int
    var log: Place
    var wire: Wire
    var inFlight: Int

    /// How thresholds and `--only` name it.
    var name: String {
        let count = members == 1 ? "one" : "three"
        return "\(count)-\(log.rawValue)\(wire == .tcp ? "-tcp" : "")-\(inFlight)"
    }

    var title: String {
        let wire = members == 1 ? "" : wire == .tcp ? ", TCP" : ", one process"
        return "\(members == 1 ? "one member" : "three members\(wire)"), log \(log == .disk ? "on disk" : "in memory")"
    }

    static let inFlights = [1, 64, 1024]

    static let all: [Shape] =
        [
            (1, .memory, .inMemory), (1, .disk, .inMemory),
            (3, .memory, .inMemory), (3, .disk, .inMemory), (3, .disk, .tcp),
        ].flatMap { (members: Int, log: Place, wire: Wire) in
            inFlights.map { Shape(members: members, log: log, wire: wire, inFlight: $0) }
        }
}
