import CLMDB
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// What is done where a damaged file, or a failing disk under it, is met after it was opened: one line that says which
/// file and what to do, and the end of the process with status 1.
///
/// No read face can throw, and there is no honest answer. A crash would be no better: its trace names functions of LMDB
/// and not the cause, and a core dump would hold the data.
enum LMDBDamage {
    static func message(_ path: String, _ what: String) -> String {
        "Error: the state in \(path) is damaged: \(what). The member stops at once; check the disk, then restore the "
            + "member from a copy, or remove it from the cluster and add it again with an empty directory\n"
    }

    static func stop(_ path: String, _ what: String) -> Never {
        let text = Array(message(path, what).utf8)
        unsafe text.withUnsafeBytes { unsafe writeAll($0) }
        _exit(1)
    }

    /// Safe in a signal's handler.
    fileprivate static func writeAll(_ text: UnsafeRawBufferPointer) {
        var done = 0
        while done < text.count {
            let written = unsafe write(2, text.baseAddress! + done, text.count - done)
            if written <= 0 { return }
            done += written
        }
    }

    /// LMDB's own assertions, which would abort.
    static func setAssertionHandler(_ environment: OpaquePointer) {
        _ = unsafe mdb_env_set_assert(environment) { environment, what in
            var path: UnsafePointer<CChar>? = nil
            unsafe mdb_env_get_path(environment, &path)
            unsafe LMDBDamage.stop(
                path.map { unsafe String(cString: $0) } ?? "?",
                what.map { unsafe "LMDB's \(String(cString: $0)) does not hold" } ?? "an assertion of LMDB failed")
        }
    }

    // MARK: SIGBUS

    // Reading a page of a mapped file that the disk cannot give, or that is not in the file, raises SIGBUS. A stray
    // write into the map raises SIGSEGV instead, and is a mistake of ours: it is left to crash.

    private static let mapsMax = 64

    @safe private struct Registry: @unchecked Sendable {
        var isHandled = false
        var texts: [String: UnsafeRawBufferPointer] = unsafe [:]
    }
    private static let registry = Mutex(Registry())

    /// Has the handler answer for a map. Beyond so many at once nothing is registered.
    static func register(base: UInt, bytes: Int, path: String) {
        registry.withLock { registry in
            if !registry.isHandled {
                installHandler()
                registry.isHandled = true
            }
            guard let maps = unsafe lmdbMaps, let free = (0..<mapsMax).first(where: { unsafe maps[$0].base == 0 })
            else { return }
            let text: UnsafeRawBufferPointer
            if let known = unsafe registry.texts[path] {
                unsafe text = unsafe known
            } else {
                let reason = "its file cannot be read (SIGBUS): it is cut short, or the disk fails"
                let line = Array(message(path, reason).utf8)
                let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: line.count, alignment: 1)
                unsafe copy.copyBytes(from: line)
                unsafe text = UnsafeRawBufferPointer(copy)
                unsafe registry.texts[path] = unsafe text
            }
            unsafe maps[free].text = unsafe text
            unsafe maps[free].bytes = UInt(bytes)
            unsafe maps[free].base = base
        }
    }

    static func unregister(base: UInt) {
        registry.withLock { _ in
            guard let maps = unsafe lmdbMaps else { return }
            for place in 0..<mapsMax where unsafe maps[place].base == base { unsafe maps[place].base = 0 }
        }
    }

    private static func installHandler() {
        let maps = UnsafeMutablePointer<FaultMap>.allocate(capacity: mapsMax)
        unsafe maps.initialize(
            repeating: FaultMap(base: 0, bytes: 0, text: UnsafeRawBufferPointer(start: nil, count: 0)), count: mapsMax)
        unsafe lmdbMaps = unsafe maps
        #if canImport(Glibc)
            var action = sigaction()
            unsafe action.__sigaction_handler.sa_sigaction = { _, information, _ in
                let address = unsafe UInt(bitPattern: information?.pointee._sifields._sigfault.si_addr)
                LMDBDamage.explain(address)
                // Not ours: whoever was there before takes it, when the instruction is tried again.
                unsafe sigaction(SIGBUS, &actionBefore, nil)
            }
            action.sa_flags = SA_SIGINFO | SA_ONSTACK
            unsafe sigaction(SIGBUS, &action, &actionBefore)
        #endif
    }

    /// In the handler: nothing here allocates, locks or returns where the address is in a map.
    private static func explain(_ address: UInt) {
        guard let maps = unsafe lmdbMaps else { return }
        var place = 0
        while place < mapsMax {
            let map = unsafe maps[place]
            if map.base != 0, address &- map.base < map.bytes {
                unsafe writeAll(map.text)
                _exit(1)
            }
            place += 1
        }
    }
}

/// A mapped file, as the handler finds it.
@safe private struct FaultMap {
    /// 0 where the place is free.
    var base: UInt
    var bytes: UInt
    /// Never freed: the handler may be reading it.
    var text: UnsafeRawBufferPointer
}

/// Written once, before the handler is installed.
nonisolated(unsafe) private var lmdbMaps: UnsafeMutablePointer<FaultMap>? = nil
#if canImport(Glibc)
    nonisolated(unsafe) private var actionBefore = sigaction()
#endif
