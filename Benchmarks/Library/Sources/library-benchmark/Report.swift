/// The table, and the same as JSON.
struct Report: Sendable {
    var payloadBytes: Int
    var syncMicroseconds: (overwriting: Double, appending: Double)
    private var rows: [(shape: Shape, figures: Figures)] = []

    init(payloadBytes: Int, syncMicroseconds: (overwriting: Double, appending: Double)) {
        self.payloadBytes = payloadBytes
        self.syncMicroseconds = syncMicroseconds
    }

    /// The last three columns are for each proposal.
    static let header = """
        | members and log                           | in flight | proposals/s |  p50 us |  p99 us | CPU us \
        | allocations |  bytes |
        |-------------------------------------------|----------:|------------:|--------:|--------:|-------:\
        |------------:|-------:|
        """

    mutating func add(_ shape: Shape, _ figures: Figures) -> String {
        rows.append((shape, figures))
        let cells = [
            pad("\(shape.inFlight)", 9), pad(grouped(figures.perSecond), 11), pad(decimal(figures.p50Microseconds), 7),
            pad(decimal(figures.p99Microseconds), 7), pad(decimal(figures.cpuMicroseconds), 6),
            pad(decimal(figures.allocations), 11), pad(grouped(figures.bytes), 6),
        ]
        let title = shape.title + String(repeating: " ", count: max(0, 41 - shape.title.count))
        return "| \(title) | \(cells.joined(separator: " | ")) |"
    }

    var json: String {
        let rows = rows.map { shape, figures in
            """
                {"name": "\(shape.name)", "title": "\(shape.title)", "inFlight": \(shape.inFlight), \
            "proposals": \(figures.proposals), "perSecond": \(figures.perSecond), \
            "p50Microseconds": \(figures.p50Microseconds), "p99Microseconds": \(figures.p99Microseconds), \
            "cpuMicroseconds": \(figures.cpuMicroseconds), "allocations": \(figures.allocations), \
            "bytes": \(figures.bytes)}
            """
        }
        return """
            {
              "payloadBytes": \(payloadBytes),
              "syncMicroseconds": \
            {"overwriting": \(syncMicroseconds.overwriting), "appending": \(syncMicroseconds.appending)},
              "rows": [
            \(rows.joined(separator: ",\n"))
              ]
            }

            """
    }

    private func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    /// Three digits that count, at least.
    private func decimal(_ value: Double) -> String {
        if value >= 100 { return grouped(value) }
        let scale = value >= 10 ? 10.0 : 100.0
        return "\((value * scale).rounded() / scale)"
    }

    private func grouped(_ value: Double) -> String {
        var digits = "\(Int(value.rounded()))"
        var groups: [String] = []
        while digits.count > 3 {
            groups.insert(String(digits.suffix(3)), at: 0)
            digits.removeLast(3)
        }
        return ([digits] + groups).joined(separator: ",")
    }
}
