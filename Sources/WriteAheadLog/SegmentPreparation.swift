import Platform
import Synchronization

/// The next segment's file, filled with zeros ahead of need, under a name that recovery throws away.
///
/// Slices are filled by whoever calls: the log's thread, or one in the background. A failure (no space, most likely)
/// ends the preparation and nothing else; the log then makes the file itself when it needs it, and fails if it still
/// cannot.
final class SegmentPreparation: Sendable {
    private struct State {
        var file: (any File)?
        var failure: FileError?
        var isTaken = false
    }

    let path: String
    private let fileSystem: any FileSystem
    private let targetBytes: Int
    private let sliceBytes: Int
    /// Held while a slice is written, so the log's thread takes it only to take the file over.
    private let state = Mutex(State())
    private let filled = Atomic(0)

    init(path: String, fileSystem: any FileSystem, targetBytes: Int, sliceBytes: Int) {
        self.path = path
        self.fileSystem = fileSystem
        self.targetBytes = targetBytes
        self.sliceBytes = sliceBytes
    }

    var filledBytes: Int { filled.load(ordering: .acquiring) }
    /// Why the preparation ended early; nil also while a slice is being written.
    var failure: FileError? { state.withLockIfAvailable { $0.failure } ?? nil }

    /// Fills and synchronizes one slice; false when there is nothing more to do.
    func fillSlice() -> Bool {
        state.withLock { state in
            guard !state.isTaken, state.failure == nil, filledBytes < targetBytes else { return false }
            do throws(FileError) {
                let file = if let file = state.file { file } else { try makeFile() }
                state.file = file
                let end = min(targetBytes, filledBytes + sliceBytes)
                try file.fill(upTo: end)
                // Slice by slice, so that no later synchronize has all of them to wait for.
                try file.synchronize()
                filled.store(end, ordering: .releasing)
            } catch {
                state.failure = error
                state.file = nil
                try? fileSystem.removeFile(path)
            }
            return state.failure == nil && filledBytes < targetBytes
        }
    }

    func fillAll() { while fillSlice() {} }

    /// Hands the file over, as far as it is filled; nil if there is none. Waits for one slice at most.
    func take() -> (any File)? {
        state.withLock { state in
            state.isTaken = true
            defer { state.file = nil }
            return state.file
        }
    }

    private func makeFile() throws(FileError) -> any File {
        if fileSystem.exists(path) { try fileSystem.removeFile(path) }
        return try fileSystem.open(path, .create)
    }
}
