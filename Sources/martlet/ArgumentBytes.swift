/// Arguments and lines of input as texts that lose no byte. Keys and values need not be UTF-8, and a text must be; so a
/// byte that belongs to no character becomes a character of its own, from the end of Unicode's private use area, and
/// is a byte again when a key or a value is made of it (as Python has it with `surrogateescape`).
enum ArgumentBytes {
    private static let base: UInt32 = 0x10ff00
    private static let escapes: ClosedRange<UInt32> = 0x10ff80...0x10ffff

    /// The arguments that the program was started with, its own name left out.
    static func ofProcess() -> [String] {
        (1..<max(1, Int(CommandLine.argc))).compactMap { index in
            CommandLine.unsafeArgv[index].map { argument in
                text(Array(UnsafeRawBufferPointer(start: argument, count: length(argument))))
            }
        }
    }

    private static func length(_ text: UnsafePointer<CChar>) -> Int {
        var count = 0
        while text[count] != 0 { count += 1 }
        return count
    }

    static func text(_ bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self), !text.unicodeScalars.contains(where: isEscape) {
            return text
        }
        var scalars = String.UnicodeScalarView()
        var rest = bytes[...]
        while let byte = rest.first {
            let scalar = (1...4).lazy.filter { rest.count >= $0 }.compactMap { length in
                String(validating: rest.prefix(length), as: UTF8.self)?.unicodeScalars.first
            }.first
            if let scalar, !isEscape(scalar) {
                scalars.append(scalar)
                rest = rest.dropFirst(UTF8.width(scalar))
            } else if let escape = Unicode.Scalar(base + UInt32(byte)) {
                scalars.append(escape)
                rest = rest.dropFirst()
            }
        }
        return String(scalars)
    }

    static func bytes(_ text: String) -> [UInt8] {
        guard text.unicodeScalars.contains(where: isEscape) else { return Array(text.utf8) }
        return text.unicodeScalars.flatMap { scalar in
            isEscape(scalar) ? [UInt8(scalar.value - base)] : Array(UTF8.encode(scalar) ?? .init())
        }
    }

    private static func isEscape(_ scalar: Unicode.Scalar) -> Bool { escapes.contains(scalar.value) }
}
