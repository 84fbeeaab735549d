import Synchronization

/// Memory for one lineage of trees: rows and nodes are laid one after another, and freed all together.
///
/// The trees of an overlay live for a tenth of a second and die at once, so nothing in them is counted one by one: a
/// path copy is a few plain memory copies, a dropped overlay a few frees, and every pointer into it stays valid as
/// long as any version does. What an edit leaves behind (replaced rows, copied nodes) stays until the lineage ends;
/// who keeps trees for long rebuilds them now and then (``TreeSet/rebuilt()``).
///
/// One writer allocates; readers only keep the arena alive. ``ownerEpoch`` says who the writer is.
@safe final class TreeArena: @unchecked Sendable {
    /// The first chunk is small, since most overlays of an idle member are; each next one doubles up to the largest.
    static let chunkBytesMin = 4 << 10
    static let chunkBytesMax = 256 << 10

    /// The epoch of the ``TreeOwner`` that may allocate here. Taken over by compare-and-swap, so that of two copies of
    /// one tree only the first that is written goes on here; the other copies itself out.
    let ownerEpoch: Atomic<UInt64>

    private var chunks: [UnsafeMutableRawPointer] = unsafe []
    private var next: UnsafeMutableRawPointer? = nil
    private var remaining = 0
    private var chunkBytes = TreeArena.chunkBytesMin
    /// Bytes handed out so far.
    private(set) var allocatedBytes = 0

    init(ownerEpoch: UInt64) {
        self.ownerEpoch = Atomic(ownerEpoch)
    }

    deinit {
        for index in unsafe chunks.indices { unsafe chunks[index].deallocate() }
    }

    /// Uninitialized bytes, aligned to 8.
    func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
        let size = (byteCount + 7) & ~7
        allocatedBytes += size
        if size <= remaining, let place = unsafe next {
            unsafe next = place + size
            remaining -= size
            return unsafe place
        }
        return unsafe allocateChunk(for: size)
    }

    private func allocateChunk(for size: Int) -> UnsafeMutableRawPointer {
        if size > chunkBytes / 4 {
            // A large row has a chunk of its own: the current one is not given up for it.
            let own = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
            unsafe chunks.append(own)
            return unsafe own
        }
        let chunk = UnsafeMutableRawPointer.allocate(byteCount: chunkBytes, alignment: 16)
        unsafe chunks.append(chunk)
        unsafe next = chunk + size
        remaining = chunkBytes - size
        chunkBytes = min(chunkBytes * 2, TreeArena.chunkBytesMax)
        return unsafe chunk
    }
}

/// The right to change nodes in place. Versions of a tree that share nodes share it; a writer that finds that it is
/// not alone takes a new one, and from then on copies what it changes. (As copy on write, with one count for all
/// nodes.)
final class TreeOwner: Sendable {
    private static let epochs = Atomic<UInt64>(0)

    let epoch: UInt64
    let arena: TreeArena

    /// With an arena of its own.
    init() {
        epoch = TreeOwner.nextEpoch()
        arena = TreeArena(ownerEpoch: epoch)
    }

    /// The next owner in the arena of another.
    private init(epoch: UInt64, arena: TreeArena) {
        self.epoch = epoch
        self.arena = arena
    }

    /// A new owner in the same arena, or nil if another copy of the tree has gone on there already.
    func successor() -> TreeOwner? {
        let epoch = TreeOwner.nextEpoch()
        let (exchanged, _) = arena.ownerEpoch.compareExchange(
            expected: self.epoch, desired: epoch, ordering: .acquiringAndReleasing)
        return exchanged ? TreeOwner(epoch: epoch, arena: arena) : nil
    }

    private static func nextEpoch() -> UInt64 {
        epochs.wrappingAdd(1, ordering: .relaxed).newValue
    }
}
