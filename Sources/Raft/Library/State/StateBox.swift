import Glibc

/// A state machine, and the lock under which it is touched: by the apply stage, and by whoever reads it.
package final class StateBox<Machine: StateMachine>: @unchecked Sendable {
    private var state: Machine
    private let lock: UnsafeMutablePointer<pthread_mutex_t>

    package init(_ state: sending Machine) {
        self.state = state
        lock = .allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    func change<Result>(_ body: (inout Machine) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return try body(&state)
    }

    package func read<Result>(_ body: (Machine) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return try body(state)
    }
}
