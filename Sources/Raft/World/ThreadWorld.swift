import Glibc
import Synchronization

/// Production's world: a thread and a locked mailbox for each stage.
package final class ThreadWorld: World {
    private let running = Mutex<[RunningStage]>([])

    private struct RunningStage: Sendable {
        var stop: @Sendable () -> Void
        var join: @Sendable () -> Void
    }

    package init() {}

    package func makeMailbox<Input: Sendable>(for name: String, of type: Input.Type) -> any Mailbox<Input> {
        ThreadMailbox<Input>(name: name)
    }

    package func run<S: Stage>(_ stage: sending S, on mailbox: any Mailbox<S.Input>) {
        guard let mailbox = mailbox as? ThreadMailbox<S.Input> else {
            preconditionFailure("a mailbox of another world")
        }
        let body = ThreadBody(stage: stage, mailbox: mailbox)
        let thread = NativeThread(name: mailbox.name) { body.run() }
        running.withLock { $0.append(RunningStage(stop: { mailbox.close() }, join: { thread.join() })) }
    }

    package func stop() {
        let stages = running.withLock { running in
            defer { running = [] }
            return running
        }
        for stage in stages { stage.stop() }
        for stage in stages { stage.join() }
    }

    package func now() -> UInt64 { monotonicNanoseconds() }
}

/// The stage leaves the thread that made it for the thread that runs it, and is touched by no other.
private final class ThreadBody<S: Stage>: @unchecked Sendable {
    let stage: S
    let mailbox: ThreadMailbox<S.Input>

    init(stage: S, mailbox: ThreadMailbox<S.Input>) {
        self.stage = stage
        self.mailbox = mailbox
    }

    func run() {
        var inputs: [S.Input] = []
        while mailbox.drain(into: &inputs, until: stage.wakeAt) {
            stage.process(&inputs, now: monotonicNanoseconds())
            inputs.removeAll(keepingCapacity: true)
        }
    }
}

func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Debuggers and `top -H` show it; Linux keeps 15 bytes. By the file, since glibc hides its call from Swift.
private func setThreadName(_ name: String) {
    let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    let bytes = Array(name.utf8.prefix(15))
    _ = write(descriptor, bytes, bytes.count)
    close(descriptor)
}

/// A POSIX thread that can be joined.
final class NativeThread: Sendable {
    private let handle: pthread_t

    init(name: String, _ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Body(name: name, run: body))
        var handle = pthread_t()
        let result = pthread_create(
            &handle, nil,
            { pointer in
                let body = Unmanaged<Body>.fromOpaque(pointer!).takeRetainedValue()
                setThreadName(body.name)
                body.run()
                return nil
            }, box.toOpaque())
        precondition(result == 0, "the system gives no thread for \(name): errno \(result)")
        self.handle = handle
    }

    func join() { pthread_join(handle, nil) }

    private final class Body: Sendable {
        let name: String
        let run: @Sendable () -> Void
        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }
}
