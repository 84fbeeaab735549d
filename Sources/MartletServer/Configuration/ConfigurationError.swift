/// Why the server cannot start with what it was told: one sentence that names what is wrong and what would be right.
package struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    package let message: String

    package init(_ message: String) { self.message = message }

    package var description: String { message }
}
