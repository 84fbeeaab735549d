/// How answers are printed: etcdctl's `--write-out`.
package enum OutputFormat: String, Sendable, CaseIterable {
    case simple
    case json
    case fields
    case table
    case protobuf
}

/// A format that a command does not have.
package struct UnsupportedFormat: Error, Equatable, CustomStringConvertible {
    package let format: OutputFormat

    package init(format: OutputFormat) { self.format = format }

    package var description: String { "\(format.rawValue) not supported as output format" }
}

/// A JSON object that leaves out what is zero, as Go's `omitempty` does.
struct JSONObject {
    private var fields: [String] = []

    var text: String { "{" + fields.joined(separator: ",") + "}" }

    mutating func raw(_ name: String, _ text: String) { fields.append("\"\(name)\":\(text)") }
    mutating func number<Number: BinaryInteger>(_ name: String, _ number: Number) {
        if number != 0 { raw(name, "\(number)") }
    }
    mutating func bool(_ name: String, _ value: Bool) { if value { raw(name, "true") } }
    mutating func string(_ name: String, _ text: String) { if !text.isEmpty { raw(name, GoText.json(text)) } }
    mutating func bytes(_ name: String, _ bytes: [UInt8]) {
        if !bytes.isEmpty { raw(name, "\"\(GoText.base64(bytes))\"") }
    }
    mutating func strings(_ name: String, _ texts: [String]) {
        if !texts.isEmpty { raw(name, "[" + texts.map(GoText.json).joined(separator: ",") + "]") }
    }
    mutating func objects(_ name: String, _ objects: [JSONObject]) {
        if !objects.isEmpty { raw(name, Self.array(objects)) }
    }
    /// What is there also when it is zero, as of a Go structure without `omitempty`.
    mutating func always<Number: BinaryInteger>(_ name: String, _ number: Number) { raw(name, "\(number)") }
    mutating func object(_ name: String, _ object: JSONObject?) { if let object { raw(name, object.text) } }

    static func array(_ objects: [JSONObject]) -> String {
        "[" + objects.map(\.text).joined(separator: ",") + "]"
    }

    static func make(_ build: (inout JSONObject) -> Void) -> JSONObject {
        var object = JSONObject()
        build(&object)
        return object
    }
}
