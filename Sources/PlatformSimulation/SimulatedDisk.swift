package import Platform
import Synchronization

/// A disk in memory, one to a simulated machine, whose misfortunes are played from one seed.
///
/// What was written is seen by every reader at once and is durable only after `synchronize()`; names are durable only
/// after `synchronizeDirectory(_:)`. ``crash()`` is the power cut: each write that was not synchronized survives, is
/// lost or is torn at a sector's edge, independently of the others, so that later ones may be there without earlier
/// ones.
package final class SimulatedDisk: FileSystem {
    private let state: Mutex<DiskState>

    package init(seed: UInt64, model: CrashModel = CrashModel()) {
        state = Mutex(DiskState(seed: seed, model: model))
    }

    private init(_ state: DiskState) { self.state = Mutex(state) }

    // MARK: Misfortune

    /// What is to go wrong from now on.
    package func inject(_ plan: FaultPlan) { state.withLock { $0.plan = plan } }

    /// The power cut, and the machine back on. Open handles are dead and locks are free; faults, except the capacity,
    /// are forgotten.
    package func crash() { state.withLock { $0.crash() } }

    /// kill -9: open handles are dead and locks are free, while the page cache lives on.
    package func endProcess() { state.withLock { $0.endProcess() } }

    /// The same disk with another fate, to try many power cuts from one moment.
    package func fork(seed: UInt64) -> SimulatedDisk {
        var copy = state.withLock { $0 }
        copy.random = RandomSource(seed: seed)
        copy.endProcess()
        return SimulatedDisk(copy)
    }

    /// Bit rot: flips bits of one byte at rest, on the disk and in the cache.
    package func flip(_ path: String, at offset: Int, mask: UInt8 = 1) {
        replaceBytes(of: path) { if offset < $0.count { $0[offset] ^= mask } }
    }

    /// Changes a file behind the back of whoever has it open, durably.
    package func replaceBytes(of path: String, _ change: (inout [UInt8]) -> Void) {
        state.withLock { state in
            guard let node = state.node(at: path) else { return }
            let before = state.nodes[node].content.count
            change(&state.nodes[node].content)
            state.nodes[node].durable = state.nodes[node].content
            state.nodes[node].unsynced = []
            state.usedBytes += state.nodes[node].content.count - before
        }
    }

    // MARK: Looking

    /// What a reader sees of a file now; nil if there is none.
    package func bytes(of path: String) -> [UInt8]? {
        state.withLock { state in state.node(at: path).map { state.nodes[$0].content } }
    }

    /// Bytes in all files together.
    package var usedBytes: Int { state.withLock { $0.usedBytes } }

    /// How many calls have changed something or made it durable, over the disk's life.
    package var changingCalls: Int { state.withLock { $0.changingCalls } }

    /// False after a planned power cut, until ``crash()``.
    package var isPowered: Bool { state.withLock { $0.isPowered } }

    /// How many calls have failed by the plan: a fault, the power, or no space.
    package var failedCalls: Int { state.withLock { $0.failedCalls } }

    /// How many times a file was synchronized.
    package var synchronizeCalls: Int { state.withLock { $0.synchronizeCalls } }

    // MARK: FileSystem

    package func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let (node, generation) = try state.withLock { state throws(FileError) in
            (try state.open(path, mode), state.generation)
        }
        let isWritable = if case .read = mode { false } else { true }
        return SimulatedFile(disk: self, node: node, generation: generation, path: path, isWritable: isWritable)
    }

    package func list(_ directory: String) throws(FileError) -> [String] {
        try state.withLock { state throws(FileError) in try state.list(directory) }
    }

    package func exists(_ path: String) -> Bool { state.withLock { $0.node(at: path) != nil } }

    package func createDirectory(_ path: String) throws(FileError) {
        try state.withLock { state throws(FileError) in try state.createDirectory(path) }
    }

    package func rename(_ old: String, to new: String) throws(FileError) {
        try state.withLock { state throws(FileError) in try state.rename(old, to: new) }
    }

    package func removeFile(_ path: String) throws(FileError) {
        try state.withLock { state throws(FileError) in try state.removeFile(path) }
    }

    package func removeTree(_ path: String) throws(FileError) {
        try state.withLock { state throws(FileError) in try state.removeTree(path) }
    }

    package func synchronizeDirectory(_ path: String) throws(FileError) {
        try state.withLock { state throws(FileError) in try state.synchronizeDirectory(path) }
    }

    package func lock(_ path: String) throws(FileError) -> (any FileLock)? {
        let generation: Int? = try state.withLock { state throws(FileError) in
            try state.lock(path) ? state.generation : nil
        }
        return generation.map { SimulatedLock(disk: self, generation: $0, path: path) }
    }

    // MARK: For the handles

    /// Runs `body` for a handle, unless the handle is from before a crash.
    fileprivate func withNode<Result: Sendable>(
        _ file: SimulatedFile, _ body: (inout DiskState) throws(FileError) -> Result
    ) throws(FileError) -> Result {
        try state.withLock { state throws(FileError) in
            guard state.generation == file.generation, !file.isClosed else {
                throw FileError(
                    operation: "use", path: file.path, errno: SimulatedErrno.badDescriptor,
                    reason: SimulatedErrno.reason(SimulatedErrno.badDescriptor))
            }
            return try body(&state)
        }
    }

    fileprivate func closed(node: Int, generation: Int) {
        state.withLock { state in
            guard state.generation == generation else { return }
            state.nodes[node].handles -= 1
            state.releaseIfUnreachable(node)
        }
    }

    fileprivate func unlock(_ path: String, generation: Int) {
        state.withLock { if $0.generation == generation { $0.unlock(path) } }
    }
}

private final class SimulatedFile: File {
    private let disk: SimulatedDisk
    private let node: Int
    let generation: Int
    let path: String
    private let isWritable: Bool
    private let closed = Atomic(false)

    init(disk: SimulatedDisk, node: Int, generation: Int, path: String, isWritable: Bool) {
        self.disk = disk
        self.node = node
        self.generation = generation
        self.path = path
        self.isWritable = isWritable
    }

    deinit { close() }

    var isClosed: Bool { closed.load(ordering: .acquiring) }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        try requireWritable("pwrite")
        try disk.withNode(self) { state throws(FileError) in try state.write(bytes, node: node, at: offset, path) }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        try disk.withNode(self) { state throws(FileError) in
            try state.admitRead(path)
            return state.read(into: buffer, node: node, at: offset)
        }
    }

    func size() throws(FileError) -> Int {
        try disk.withNode(self) { state throws(FileError) in state.nodes[node].content.count }
    }

    func fill(upTo bytes: Int) throws(FileError) {
        try requireWritable("pwrite")
        try disk.withNode(self) { state throws(FileError) in try state.fill(node: node, upTo: bytes, path) }
    }

    func truncate(to bytes: Int) throws(FileError) {
        try requireWritable("ftruncate")
        try disk.withNode(self) { state throws(FileError) in try state.truncate(node: node, to: bytes, path) }
    }

    func synchronize() throws(FileError) {
        try disk.withNode(self) { state throws(FileError) in try state.synchronize(node: node, path) }
    }

    func close() {
        if !closed.exchange(true, ordering: .acquiringAndReleasing) { disk.closed(node: node, generation: generation) }
    }

    private func requireWritable(_ operation: String) throws(FileError) {
        guard isWritable else {
            throw FileError(
                operation: operation, path: path, errno: SimulatedErrno.badDescriptor,
                reason: SimulatedErrno.reason(SimulatedErrno.badDescriptor))
        }
    }
}

private final class SimulatedLock: FileLock {
    private let disk: SimulatedDisk
    private let generation: Int
    private let path: String
    private let released = Atomic(false)

    init(disk: SimulatedDisk, generation: Int, path: String) {
        self.disk = disk
        self.generation = generation
        self.path = path
    }

    deinit { release() }

    func release() {
        if !released.exchange(true, ordering: .acquiringAndReleasing) { disk.unlock(path, generation: generation) }
    }
}
