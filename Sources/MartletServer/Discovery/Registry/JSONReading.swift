import Foundation

/// The name of any field of a JSON object.
struct JSONField: CodingKey, Hashable {
    var stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
}

extension KeyedDecodingContainer where Key == JSONField {
    func value<Value: Decodable>(_ name: String, _ type: Value.Type = Value.self) throws -> Value? {
        try decodeIfPresent(type, forKey: JSONField(name))
    }

    /// A number of 16 bits.
    func number(_ name: String, atLeast minimum: Int64 = 0) throws -> UInt16? {
        guard let number: Int64 = try value(name) else { return nil }
        guard (minimum...65_535).contains(number) else {
            throw DecodingError.dataCorruptedError(
                forKey: JSONField(name), in: self, debugDescription: "it is from \(minimum) to 65535")
        }
        return UInt16(number)
    }

    /// Milliseconds: whole seconds as a number, or a text such as "10s" or "500ms".
    func milliseconds(_ name: String) throws -> Int64? {
        let field = JSONField(name)
        guard contains(field), try !decodeNil(forKey: field) else { return nil }
        if let seconds = try? decode(Int64.self, forKey: field), seconds >= 0, seconds <= Int64.max / 1_000 {
            return seconds * 1_000
        }
        guard let text = try? decode(String.self, forKey: field), let duration = GoDuration.parse(text) else {
            throw DecodingError.dataCorruptedError(
                forKey: field, in: self, debugDescription: "write it as a number of seconds, or like \"10s\"")
        }
        let (seconds, attoseconds) = duration.components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }

    /// Refuses what nobody would read: a misspelt field is worse than none.
    func refuseOthers(than known: [String]) throws {
        for field in allKeys.sorted(by: { $0.stringValue < $1.stringValue }) where !known.contains(field.stringValue) {
            let hint = Suggestion.nearest(to: field.stringValue, among: known).map { "; did you mean \"\($0)\"?" }
            throw DecodingError.dataCorruptedError(
                forKey: field, in: self,
                debugDescription: "there is no such field" + (hint ?? "; there are " + known.joined(separator: ", ")))
        }
    }
}

enum JSONReading {
    /// - Throws: a sentence that names the field.
    static func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: some Collection<UInt8>
    ) throws(APIError) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let error as DecodingError {
            throw .badRequest(sentence(error))
        } catch {
            throw .badRequest("the body is not JSON: \(error)")
        }
    }

    private static func sentence(_ error: DecodingError) -> String {
        func place(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
            let path = (context.codingPath + (last.map { [$0] } ?? [])).map { key in
                key.intValue.map { "\($0)" } ?? key.stringValue
            }
            return path.isEmpty ? "the body" : "\"" + path.joined(separator: ".") + "\""
        }
        switch error {
        case .keyNotFound(let key, let context): return "\(place(context, key)) is missing"
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            return "\(place(context)) is not \(name(of: type))"
        case .dataCorrupted(let context):
            if context.codingPath.isEmpty { return "the body is not JSON, or has a number that is too large" }
            return "\(place(context)): \(context.debugDescription)"
        @unknown default: return "the body cannot be read"
        }
    }

    private static func name(of type: Any.Type) -> String {
        switch type {
        case is String.Type: "a text"
        case is any FixedWidthInteger.Type: "a whole number that fits"
        case is [String: Any].Type: "an object"
        case is [Any].Type: "a list"
        default: "of the right kind"
        }
    }

    /// One line, its fields in the order of their names, so that the same is the same bytes.
    static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return Array(try encoder.encode(value))
        } catch {
            // Texts and whole numbers, which JSON has.
            preconditionFailure("a registration cannot be written as JSON: \(error)")
        }
    }

    /// Milliseconds as ``KeyedDecodingContainer/milliseconds(_:)`` reads them.
    static func text(milliseconds: Int64) -> String {
        milliseconds % 1_000 == 0 ? "\(milliseconds / 1_000)s" : "\(milliseconds)ms"
    }
}
