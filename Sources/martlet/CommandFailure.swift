import Foundation
import MartletClient

/// Why a command did not do what it was asked: one sentence, and etcdctl's exit code.
struct CommandFailure: Error, Equatable {
    /// The call failed.
    static let errorCode: Int32 = 1
    /// The connection failed, as etcdctl has it for some commands.
    static let badConnectionCode: Int32 = 2
    /// What was read from standard input is wrong.
    static let badInputCode: Int32 = 3
    /// A flag has a value that it does not have.
    static let badFeatureCode: Int32 = 4
    /// The server ended what should have gone on.
    static let interruptedCode: Int32 = 5
    /// The arguments contradict one another.
    static let badArgumentsCode: Int32 = 128

    let message: String
    let exitCode: Int32

    static func badArguments(_ message: String) -> CommandFailure {
        CommandFailure(message: message, exitCode: badArgumentsCode)
    }

    static func badFeature(_ message: String) -> CommandFailure {
        CommandFailure(message: message, exitCode: badFeatureCode)
    }

    static func badInput(_ message: String) -> CommandFailure {
        CommandFailure(message: message, exitCode: badInputCode)
    }

    static func failed(_ message: String) -> CommandFailure { CommandFailure(message: message, exitCode: errorCode) }

    /// A call's error as a sentence that ends with what to do next, where that is known.
    init(_ error: ClientError, timeout: Duration, isWrite: Bool = false) {
        exitCode = error.isBadEndpoint ? Self.badArgumentsCode : Self.errorCode
        message =
            switch error {
            case .unreachable:
                "\(error); start a server with martlet serve or martlet dev, or name another with --endpoints"
            case .deadlineExceeded:
                "no answer within \(GoText.duration(timeout))" + (isWrite ? ", the write may still be carried out" : "")
                    + "; see martlet endpoint status for a leader, or wait longer with --command-timeout"
            default: error.description
            }
    }

    init(message: String, exitCode: Int32) {
        self.message = message
        self.exitCode = exitCode
    }
}

extension ClientError {
    var isBadEndpoint: Bool {
        if case .badEndpoint = self { true } else { false }
    }
}

/// Standard output and standard error, as bytes and without buffering of our own.
enum Output {
    static func print(_ text: String) { write(Array(text.utf8)) }
    static func write(_ bytes: [UInt8]) { try? FileHandle.standardOutput.write(contentsOf: bytes) }
    static func error(_ text: String) { try? FileHandle.standardError.write(contentsOf: Array(text.utf8)) }
}
