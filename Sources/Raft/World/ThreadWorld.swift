import Glibc
import Synchronization

/// Production's world: a thread and a locked mailbox for each stage.
package final class ThreadWorld: World {
    private let running = Mutex<[RunningStage]>([])

    private struct RunningStage: Sendable {
        var stop: @Sendable () -> Void
        var join: @Sendable () -> Void
    }

    /// So many threads, then the system refuses: for tests.
    private let threadsMax: Int

    package init(threadsMax: Int = .max) { self.threadsMax = threadsMax }

    package func makeMailbox<Input: Sendable>(for name: String, of type: Input.Type) -> any Mailbox<Input> {
        ThreadMailbox<Input>(name: name)
    }

    package func run<S: Stage>(_ stage: sending S, on mailbox: any Mailbox<S.Input>) throws(ThreadRefusal) {
        guard let mailbox = mailbox as? ThreadMailbox<S.Input> else {
            preconditionFailure("a mailbox of another world")
        }
        let body = ThreadBody(stage: stage, mailbox: mailbox)
        guard running.withLock({ $0.count }) < threadsMax else {
            throw ThreadRefusal(name: mailbox.name, errno: EAGAIN)
        }
        let thread = try NativeThread(name: mailbox.name) { body.run() }
        mailbox.attach { body.runIfAtRest() }
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

/// The stage leaves the thread that made it; from then on it is touched under `lock` alone, mostly by its own thread.
private final class ThreadBody<S: Stage>: @unchecked Sendable {
    private let stage: S
    private unowned let mailbox: ThreadMailbox<S.Input>
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private var inputs: [S.Input] = []

    init(stage: S, mailbox: ThreadMailbox<S.Input>) {
        self.stage = stage
        self.mailbox = mailbox
        lock = .allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    func run() {
        let mailbox = mailbox
        while true {
            pthread_mutex_lock(lock)
            let wakeAt = stage.wakeAt
            pthread_mutex_unlock(lock)
            guard mailbox.wait(until: wakeAt) else { return }
            pthread_mutex_lock(lock)
            _ = work()
            pthread_mutex_unlock(lock)
        }
    }

    /// On the caller's thread, if nobody is at it.
    func runIfAtRest() -> Bool {
        guard pthread_mutex_trylock(lock) == 0 else { return false }
        while work() {}
        pthread_mutex_unlock(lock)
        return true
    }

    /// True if more has come meanwhile.
    private func work() -> Bool {
        mailbox.take(into: &inputs)
        stage.process(&inputs, now: monotonicNanoseconds())
        inputs.removeAll(keepingCapacity: true)
        return mailbox.rest()
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

    init(name: String, _ body: @escaping @Sendable () -> Void) throws(ThreadRefusal) {
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
        guard result == 0 else {
            box.release()
            throw ThreadRefusal(name: name, errno: result)
        }
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
