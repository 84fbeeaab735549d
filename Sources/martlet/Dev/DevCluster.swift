import Dispatch
import EtcdAPI
import Foundation
import MartletClient

/// The members of `martlet dev` while they run: what happens to them is one stream of events.
struct DevCluster {
    /// How long members have to become ready before it is said that something is wrong.
    static let readyTimeout = Duration.seconds(60)
    /// How long members have to stop by themselves.
    static let stopTimeout = Duration.seconds(10)

    private enum Event: Sendable {
        case line(Int, String)
        case exited(Int, MemberProcess.Ending)
        case ready
        case notReady(String)
        case signal(Int32)
        /// The members were asked to stop, and had the time for it.
        case stopTimeout
    }

    private let plan: DevPlan
    private let executable: URL
    private let processes: [MemberProcess]

    init(_ plan: DevPlan, executable: URL) {
        self.plan = plan
        self.executable = executable
        processes = plan.members.map(MemberProcess.init)
    }

    func run() async throws(CommandFailure) {
        let (events, continuation) = AsyncStream.makeStream(of: Event.self)
        let signals = [SIGINT, SIGTERM, SIGHUP].map { number in
            // The source sees the signal; without this it would end the program as well.
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number)
            source.setEventHandler { continuation.yield(.signal(number)) }
            source.resume()
            return source
        }
        defer { for source in signals { source.cancel() } }

        let many = plan.members.count == 1 ? "1 member" : "\(plan.members.count) members"
        Output.error("Starting \(many) ...\n")
        var failure: CommandFailure?
        var started = 0
        var ended = 0
        for (index, process) in processes.enumerated() {
            do {
                try process.start(
                    executable: executable, arguments: plan.arguments(of: process.member),
                    onLine: { continuation.yield(.line(index, $0)) },
                    onExit: { continuation.yield(.exited(index, $0)) })
                started += 1
            } catch {
                failure = .failed("\(executable.path) cannot be started; check that it is there and may be run")
                break
            }
        }
        let readiness = Task {
            if let complaint = await Self.waitUntilReady(plan) {
                continuation.yield(.notReady(complaint))
            } else {
                continuation.yield(.ready)
            }
        }
        defer { readiness.cancel() }

        var isReady = false
        var isStopping = false
        func stop() {
            if isStopping { return }
            isStopping = true
            for process in processes { process.send(signal: SIGTERM) }
            Task {
                try? await Task.sleep(for: Self.stopTimeout)
                continuation.yield(.stopTimeout)
            }
        }
        if failure != nil { stop() }

        if started > 0 {
            for await event in events {
                switch event {
                // What members say while they stop is of no use to anybody.
                case .line(let index, let line) where !isStopping:
                    Output.error("\(plan.members[index].name) | \(line)\n")
                case .line: break
                case .ready:
                    if isStopping { break }
                    isReady = true
                    Output.print("\n" + plan.greeting)
                case .notReady(let complaint):
                    if isStopping { break }
                    failure = .failed(complaint)
                    stop()
                case .exited(let index, let ending):
                    ended += 1
                    if isStopping { break }
                    report(index, ending)
                    if !isReady {
                        failure = .failed("\(plan.members[index].name) did not start; its last lines above say why")
                        stop()
                    } else if ended == started {
                        failure = .failed("no member is left; the same command starts them again")
                    } else {
                        Output.error(
                            "The others go on. To start it again, stop with Ctrl-C and give the same command.\n")
                    }
                case .signal:
                    if isStopping {
                        // The second time, nobody wants to wait.
                        for process in processes { process.send(signal: SIGKILL) }
                    } else {
                        Output.error("\nStopping ...\n")
                        stop()
                    }
                case .stopTimeout:
                    for process in processes where process.isRunning {
                        Output.error("\(process.member.name) does not stop, and is killed.\n")
                        process.send(signal: SIGKILL)
                    }
                }
                if ended == started { break }
            }
        }
        if let failure { throw failure }
        Output.error("Stopped. The data is in \(plan.dataDirectory).\n")
    }

    private func report(_ index: Int, _ ending: MemberProcess.Ending) {
        let name = plan.members[index].name
        var text = "\(name) \(ending.text)."
        let lines = processes[index].lastLines
        text += lines.isEmpty ? " It has logged nothing.\n" : " Its last lines:\n"
        for line in lines { text += "  \(line)\n" }
        Output.error(text)
    }

    /// Waits until each member answers a read that a majority agrees on. Returns what is wrong where that takes too
    /// long.
    private static func waitUntilReady(_ plan: DevPlan) async -> String? {
        let deadline = ContinuousClock.now + readyTimeout
        var waiting = plan.members
        while !Task.isCancelled {
            var left: [DevPlan.Member] = []
            for member in waiting where !(await answers(member)) { left.append(member) }
            if left.isEmpty { return nil }
            if left.count < waiting.count {
                Output.error("\(plan.members.count - left.count) of \(plan.members.count) are ready\n")
            }
            waiting = left
            if ContinuousClock.now > deadline {
                let names = waiting.map(\.name).joined(separator: ", ")
                return "\(names) did not become ready within \(GoText.duration(readyTimeout)); the lines above say more"
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
        return nil
    }

    private static func answers(_ member: DevPlan.Member) async -> Bool {
        var options = EtcdClient.Options()
        options.timeout = .seconds(1)
        let client = EtcdClient(endpoints: [Endpoint(host: "127.0.0.1", port: member.clientPort)], options: options)
        let isReady: Bool
        do throws(ClientError) {
            _ = try await client.get("health")
            isReady = true
        } catch {
            isReady = false
        }
        await client.shutdown()
        return isReady
    }
}
