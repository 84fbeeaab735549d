import MartletClient

/// Splits a line into words, as etcdctl does where it reads commands: between blanks; in single quotes as it stands, in
/// double quotes with Go's escapes (`\n`, `\x6b`, ...).
enum CommandLineWords {
    static func split(_ line: String) throws(CommandFailure) -> [String] {
        var words: [String] = []
        var rest = ArgumentBytes.bytes(line)[...]
        while let first = rest.first {
            switch first {
            case UInt8(ascii: "\""):
                guard let end = endOfDoubleQuotes(rest) else {
                    // A quote without its other half is none.
                    rest = rest.dropFirst()
                    continue
                }
                guard let (bytes, length) = GoText.unquoted(rest[..<end]), length == end - rest.startIndex else {
                    throw .badInput("\(ArgumentBytes.text(Array(rest[..<end]))) has an escape that there is not")
                }
                words.append(ArgumentBytes.text(bytes))
                rest = rest[end...]
            case UInt8(ascii: "'"):
                guard let end = rest.dropFirst().firstIndex(of: first) else {
                    rest = rest.dropFirst()
                    continue
                }
                words.append(ArgumentBytes.text(Array(rest[rest.index(after: rest.startIndex)..<end])))
                rest = rest[rest.index(after: end)...]
            case let byte where isBlank(byte): rest = rest.dropFirst()
            default:
                let word = rest.prefix { !isBlank($0) }
                words.append(ArgumentBytes.text(Array(word)))
                rest = rest.dropFirst(word.count)
            }
        }
        return words
    }

    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }

    /// The index after the closing quote.
    private static func endOfDoubleQuotes(_ text: ArraySlice<UInt8>) -> Int? {
        var index = text.index(after: text.startIndex)
        while index < text.endIndex {
            if text[index] == UInt8(ascii: "\"") { return index + 1 }
            index += text[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        return nil
    }
}
