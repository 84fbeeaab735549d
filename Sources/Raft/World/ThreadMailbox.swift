import Glibc

/// A queue between threads. Posting takes one short lock, and a system call only if the stage is asleep; draining takes
/// everything at once, by exchanging two arrays that keep their memory.
final class ThreadMailbox<Input: Sendable>: Mailbox, @unchecked Sendable {
    let name: String
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let arrived: UnsafeMutablePointer<pthread_cond_t>
    // Guarded by `lock`.
    private var pending: [Input] = []
    private var isAsleep = false
    private var isClosed = false
    /// The thread that works the stage's inputs off just now; it looks again before it rests, so its own posts wake
    /// nobody.
    private var runner: pthread_t?
    private var runIfAtRest: (@Sendable () -> Bool)?

    init(name: String) {
        self.name = name
        lock = .allocate(capacity: 1)
        arrived = .allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(arrived, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(arrived)
        pthread_mutex_destroy(lock)
        arrived.deallocate()
        lock.deallocate()
    }

    func post(_ input: consuming Input) {
        pthread_mutex_lock(lock)
        pending.append(consume input)
        let mustWake = isAsleep && runner != pthread_self()
        if mustWake { isAsleep = false }
        pthread_mutex_unlock(lock)
        if mustWake { pthread_cond_signal(arrived) }
    }

    func post(contentsOf inputs: [Input]) {
        guard !inputs.isEmpty else { return }
        pthread_mutex_lock(lock)
        pending.append(contentsOf: inputs)
        let mustWake = isAsleep && runner != pthread_self()
        if mustWake { isAsleep = false }
        pthread_mutex_unlock(lock)
        if mustWake { pthread_cond_signal(arrived) }
    }

    func postQuietly(_ input: Input) {
        pthread_mutex_lock(lock)
        pending.append(input)
        pthread_mutex_unlock(lock)
    }

    /// Whoever runs the stage on a caller's thread.
    func attach(_ runIfAtRest: @escaping @Sendable () -> Bool) {
        pthread_mutex_lock(lock)
        self.runIfAtRest = runIfAtRest
        pthread_mutex_unlock(lock)
    }

    func postAndRun(_ input: consuming Input) {
        pthread_mutex_lock(lock)
        pending.append(consume input)
        let run = isClosed ? nil : runIfAtRest
        pthread_mutex_unlock(lock)
        if let run, run() { return }
        wake()
    }

    private func wake() {
        pthread_mutex_lock(lock)
        let mustWake = isAsleep
        isAsleep = false
        pthread_mutex_unlock(lock)
        if mustWake { pthread_cond_signal(arrived) }
    }

    /// Waits until something has arrived or `deadline` has come. False when the mailbox is closed.
    func wait(until deadline: UInt64?) -> Bool {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while pending.isEmpty && !isClosed {
            if let deadline {
                guard monotonicNanoseconds() < deadline else { break }
                isAsleep = true
                var time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
                pthread_cond_timedwait(arrived, lock, &time)
            } else {
                isAsleep = true
                pthread_cond_wait(arrived, lock)
            }
        }
        isAsleep = false
        return !isClosed
    }

    /// Takes everything that is there; nothing once the mailbox is closed. The caller works it off, and says
    /// ``rest()`` then.
    func take(into inputs: inout [Input]) {
        pthread_mutex_lock(lock)
        runner = pthread_self()
        defer { pthread_mutex_unlock(lock) }
        swap(&pending, &inputs)
        if isClosed { inputs.removeAll() }
    }

    /// The inputs that were taken have been worked off. True if others have come meanwhile.
    func rest() -> Bool {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        runner = nil
        return !pending.isEmpty && !isClosed
    }

    /// Ends the stage that drains this; what is posted from now on is kept by nobody.
    func close() {
        pthread_mutex_lock(lock)
        isClosed = true
        isAsleep = false
        runIfAtRest = nil
        pthread_mutex_unlock(lock)
        pthread_cond_broadcast(arrived)
    }
}
