import ArgumentParser
import EtcdAPI
import Foundation
import MartletClient

/// `watch -i`: each line of standard input begins another watch, or asks all of them how far they are.
struct InteractiveWatch {
    let client: EtcdClient
    let printer: WatchPrinter
    let environment: WatchCommand.EnvironmentKeys

    /// Why it ends: it does not do so well.
    func run() async -> CommandFailure {
        var watches: [Watch] = []
        for await line in InputLines.stream() {
            do throws(CommandFailure) {
                if let watch = try begin(line, progressOf: watches) { watches.append(watch) }
            } catch {
                return error
            }
        }
        return .badInput("error reading watch request line: EOF")
    }

    private func begin(_ line: String, progressOf watches: [Watch]) throws(CommandFailure) -> Watch? {
        let words = try CommandLineWords.split(line)
        switch words.first {
        case nil: Output.error("Invalid command: \(line) (watch and progress supported)\n")
        case "watch"?:
            if words.count < 2, environment.keys.isEmpty {
                Output.error("Invalid command \(line) (command type or key is not provided)\n")
                return nil
            }
            try WatchCommand.checkSeparator(words)
            let command: WatchCommand
            do {
                command = try WatchCommand.parse(Array(ArgumentNormalization.normalize(words).dropFirst()))
            } catch {
                throw .badArguments(WatchCommand.message(for: error))
            }
            let request: WireWatchCreateRequest<[UInt8]>
            do throws(CommandFailure) {
                request = try command.request(environment)
            } catch {
                guard command.prefix, command.keys.count > 1 else { throw error }
                Output.error("Invalid command \(line) (\(error.message))\n")
                return nil
            }
            let watch = client.watch(request)
            let printer = printer
            let program = command.command
            Task {
                do throws(CommandFailure) {
                    try await printer.print(watch, command: program)
                } catch {
                    Martlet.leave(error)
                }
            }
            return watch
        case "progress"?: for watch in watches { watch.requestProgress() }
        default: Output.error("Invalid command \(line) (only support watch)\n")
        }
        return nil
    }
}
