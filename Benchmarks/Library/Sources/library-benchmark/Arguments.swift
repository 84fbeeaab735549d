struct Arguments: Sendable {
    var only: [String] = []
    var window = Window()
    var payloadBytes = 128
    var directory = ".build/library-benchmark-data"
    var json: String?
    var cycles: Int?
    var sites: String?
    var isList = false

    static let usage = """
        usage: library-benchmark [options]
          --only NAMES        rows by name or by how the name begins, comma separated (--list shows them)
          --seconds S         how long each row is measured at least (1)
          --proposals N       and how many proposals at least (0)
          --at-most S         but for no longer than that (15)
          --payload BYTES     of each proposal (128)
          --directory PATH    where logs on disk go; not in memory (.build/library-benchmark-data)
          --json FILE         writes the figures there, too
          --sites FILE        writes where one allocation of 31 comes from, with --only for the rows
          --cycles N          no rows: starts and stops members N times, and fails if anything stays behind
        """

    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let name = rest.popFirst() {
            func value() throws -> String {
                guard let value = rest.popFirst() else { throw Problem("\(name) needs a value") }
                return value
            }
            func number<Number: LosslessStringConvertible & Comparable & ExpressibleByIntegerLiteral>(
                _ type: Number.Type
            ) throws -> Number {
                let text = try value()
                guard let number = Number(text), number >= 0 else { throw Problem("\(name) \(text)") }
                return number
            }
            switch name {
            case "--only": only = try value().split(separator: ",").map(String.init)
            case "--seconds": window.seconds = try number(Double.self)
            case "--proposals": window.proposals = try number(Int.self)
            case "--at-most": window.secondsMax = try number(Double.self)
            case "--payload": payloadBytes = try number(Int.self)
            case "--directory": directory = try value()
            case "--json": json = try value()
            case "--sites": sites = try value()
            case "--cycles": cycles = try number(Int.self)
            case "--list": isList = true
            default: throw Problem("unknown option \(name)")
            }
        }
        for name in only where Self.shapes(named: name).isEmpty {
            throw Problem("no row's name begins with \(name)")
        }
    }

    var shapes: [Shape] {
        if only.isEmpty { return Shape.all }
        return Shape.all.filter { shape in only.contains { Self.shapes(named: $0).contains(shape) } }
    }

    /// The row of that name, or all whose names begin so.
    private static func shapes(named name: String) -> [Shape] {
        let exact = Shape.all.filter { $0.name == name }
        return exact.isEmpty ? Shape.all.filter { $0.name.hasPrefix(name) } : exact
    }
}
