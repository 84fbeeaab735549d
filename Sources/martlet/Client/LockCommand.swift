import ArgumentParser
import EtcdAPI
import Foundation
import MartletClient
import Synchronization

struct LockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lock", abstract: "Holds a lock while a command runs, or until it is stopped.",
        usage: "martlet lock <name> [options] [<command> ... | -- <command> ...]",
        discussion: """
            Who else wants the lock, with etcdctl as well, waits. The command has ETCD_LOCK_KEY and ETCD_LOCK_REV in \
            its environment; its exit code is ours. The lock is given back at the end, and after --ttl seconds if \
            martlet is killed.

            Examples:
              martlet lock deploy -- ./deploy.sh
              martlet lock deploy                  prints its key, and holds it until it is interrupted
            """)

    @Argument(
        help: ArgumentHelp(
            "The lock's name, and the command to run; flags of the command stand after --.",
            valueName: "name and command"))
    var arguments: [String] = []
    @Option(help: "How many seconds the lock is held without a sign of life.") var ttl: Int64 = 10
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    /// etcd's default for a session; etcdctl takes it for what is not positive.
    static let defaultTTL: Int64 = 60

    func run() async throws {
        guard let name = arguments.first else {
            throw CommandFailure.badArguments("lock takes a lock name argument and an optional command to execute")
        }
        let command = Array(arguments.dropFirst())
        let format = try global.format(noneOf: command.isEmpty ? [.table] : [])
        let client = try global.client()
        let interruption = Interruption()
        let ttl = ttl > 0 ? ttl : Self.defaultTTL
        let result: Result<CommandFailure?, ClientError>
        do throws(ClientError) {
            let session = try await Session.open(client, ttl: ttl)
            let lock = SessionLock(session, name: ArgumentBytes.bytes(name))
            let acquiring = Task { await Result { () async throws(ClientError) in try await lock.acquire() } }
            interruption.onSignal { _ in acquiring.cancel() }
            var outcome: Result<CommandFailure?, ClientError>
            do throws(ClientError) {
                let header = try await acquiring.value.get()
                outcome = .success(try await hold(lock, header, command, format, interruption))
            } catch {
                outcome = .failure(error)
            }
            do throws(ClientError) {
                try await lock.release()
            } catch {
                if case .success(nil) = outcome { outcome = .failure(error) }
            }
            await session.close()
            result = outcome
        } catch {
            result = .failure(error)
        }
        await client.shutdown()
        switch result {
        case .success(nil): return
        case .success(let failure?): throw failure
        case .failure(let error): throw CommandFailure(error, timeout: try global.timeout())
        }
    }

    /// What to say at the end; nil where all is well.
    private func hold(
        _ lock: SessionLock, _ header: WireHeader, _ command: [String], _ format: OutputFormat,
        _ interruption: Interruption
    ) async throws(ClientError) -> CommandFailure? {
        guard command.isEmpty else {
            let ending = await ChildProcess.run(
                command,
                extra: [
                    "ETCD_LOCK_KEY": String(decoding: lock.key, as: UTF8.self), "ETCD_LOCK_REV": "\(header.revision)",
                ],
                onStart: { child in
                    // A terminal interrupts both of us. Who ends martlet means what it runs.
                    interruption.onSignal { if $0 == SIGTERM { kill(child, SIGTERM) } }
                })
            guard let complaint = ending.complaint else { return nil }
            switch ending {
            case .exited(let code): return CommandFailure(message: complaint, exitCode: code)
            // As a shell sees etcdctl's -1.
            case .signalled: return CommandFailure(message: complaint, exitCode: 255)
            case .notStarted: return .failed(complaint)
            }
        }
        let held = try await lock.session.client.range(WireRangeRequest(key: lock.key))
        guard !held.kvs.isEmpty else { return .failed("lock lost on init") }
        do {
            Output.write(try KeyValueOutput.get(held, format, hex: global.prefersHex))
        } catch {
            return .badFeature("\(error)")
        }
        let session = lock.session
        return await interruption.race { await session.waitForEnd() } == nil ? .failed("session expired") : nil
    }
}
