import Glibc

/// Threads outside Swift's pool, for work that blocks on the disk.
package enum SystemThread {
    /// Runs `body` on a new detached thread. The name shows in debuggers and `top -H`; Linux keeps 15 bytes of it.
    package static func start(name: String, _ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(ThreadBody(name: name, run: body))
        if !startDetached(box.toOpaque()) {
            // No thread to be had (EAGAIN): the work still has to be done, so it is done here.
            box.takeRetainedValue().run()
        }
    }

    private static func startDetached(_ argument: UnsafeMutableRawPointer) -> Bool {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let code = pthread_create(&thread, &attributes, threadMain, argument)
        pthread_attr_destroy(&attributes)
        return code == 0
    }
}

private final class ThreadBody: Sendable {
    let name: String
    let run: @Sendable () -> Void

    init(name: String, run: @escaping @Sendable () -> Void) {
        self.name = name
        self.run = run
    }

    /// By the file, since glibc's call is hidden from Swift behind _GNU_SOURCE. A thread without a name is no failure.
    func setName() {
        let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        let bytes = Array(name.utf8.prefix(15))
        _ = write(descriptor, bytes, bytes.count)
        _ = close(descriptor)
    }
}

private func threadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let body = Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
    body.setName()
    body.run()
    return nil
}
