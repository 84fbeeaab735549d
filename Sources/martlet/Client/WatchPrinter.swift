import EtcdAPI
import Foundation
import MartletClient

/// Prints what a watch brings, and runs a command for each event.
struct WatchPrinter: Sendable {
    let format: OutputFormat
    let hex: Bool

    /// Returns when the server has canceled the watch.
    func print(_ watch: Watch, command: [String]) async throws(CommandFailure) {
        var hasAnswered = false
        while true {
            let response: WireWatchResponse<[UInt8]>?
            do throws(ClientError) {
                response = try await watch.next()
            } catch {
                if Task.isCancelled { return }
                guard hasAnswered || !error.isUnreachable else { throw CommandFailure(error, timeout: .zero) }
                Output.error("watch was canceled (\(error))\n")
                return
            }
            guard let response else { return }
            hasAnswered = true
            if let reason = response.cancellation { Output.error("watch was canceled (\(reason))\n") }
            if response.isProgress { Output.print("progress notify: \(response.header?.revision ?? 0)\n") }
            do {
                Output.write(try WatchOutput.response(response, format, hex: hex))
            } catch {
                throw .badFeature("\(error)")
            }
            if !command.isEmpty { for event in response.events { try await run(command, for: event, of: response) } }
        }
    }

    private func run(
        _ command: [String], for event: WireEvent<[UInt8]>, of response: WireWatchResponse<[UInt8]>
    ) async throws(CommandFailure) {
        let ending = await ChildProcess.run(
            command,
            extra: [
                "ETCD_WATCH_REVISION": "\(response.header?.revision ?? 0)",
                "ETCD_WATCH_EVENT_TYPE": GoText.quoted(WatchOutput.name(of: event)),
                "ETCD_WATCH_KEY": GoText.quoted(event.kv?.key ?? []),
                "ETCD_WATCH_VALUE": GoText.quoted(event.kv?.value ?? []),
            ])
        guard let complaint = ending.complaint else { return }
        let words = command.map { GoText.quoted(ArgumentBytes.bytes($0)) }.joined(separator: " ")
        Output.error("command [\(words)] error (\(complaint))\n")
        throw CommandFailure(message: "", exitCode: CommandFailure.errorCode)
    }
}

extension ClientError {
    var isUnreachable: Bool {
        if case .unreachable = self { true } else { false }
    }
}
