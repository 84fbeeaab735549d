import StorageEngine

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Looks at an environment's data file before LMDB maps it.
///
/// LMDB trusts its file: a page that the file does not have raises SIGBUS when it is touched, and a foreign page size
/// divides by zero. So what can be known cheaply is looked at with plain reads first: the two meta pages, and that the
/// file is as long as they say. (LMDB 0.9 keeps no checksums of pages; the rows' own are the reader's to check.)
///
/// A sound file may end early only by pages that are free: taken and given back within one transaction, they were never
/// written. Then the free list, itself a B+tree of pages, is read to see that they are.
@safe struct LMDBFileCheck: ~Copyable {
    private static let pageHeaderBytes = 16
    private static let magic: UInt32 = 0xBEEF_C0DE
    private static let dataVersion: UInt32 = 1
    private static let branchFlag: UInt16 = 0x01
    private static let leafFlag: UInt16 = 0x02
    private static let metaFlag: UInt16 = 0x08
    private static let bigDataFlag: UInt16 = 0x01
    private static let noPage = UInt64.max
    /// LMDB's own limit (`CURSOR_STACK`).
    private static let depthMax = 32

    private struct Meta {
        let pageBytes: Int
        let freeRoot: UInt64
        let lastPage: UInt64
        let transaction: UInt64
    }

    private let descriptor: Int32
    private let fileBytes: Int
    private let path: String

    /// Throws if the file is there and is not a sound environment's. Returns how many bytes it must be mapped with.
    static func check(_ path: String) throws(EngineError) -> Int {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 {
            if errno == ENOENT { return 0 }
            throw .io("\(path): \(LMDBFailure.text(errno))")
        }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else {
            let failure = errno
            _ = closeFile(descriptor)
            throw .io("\(path): \(LMDBFailure.text(failure))")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            _ = closeFile(descriptor)
            throw .corrupt("\(path) is not a file")
        }
        let check = LMDBFileCheck(descriptor: descriptor, fileBytes: Int(status.st_size), path: path)
        return try check.run()
    }

    private init(descriptor: Int32, fileBytes: Int, path: String) {
        self.descriptor = descriptor
        self.fileBytes = fileBytes
        self.path = path
    }

    deinit { _ = closeFile(descriptor) }

    private func run() throws(EngineError) -> Int {
        // Made, but nothing was written yet.
        if fileBytes == 0 { return 0 }
        let first = try meta(at: 0)
        let second = try meta(at: first.pageBytes)
        guard first.pageBytes == second.pageBytes else { throw .corrupt("\(path): its meta pages do not agree") }
        let newest = second.transaction > first.transaction ? second : first
        guard newest.lastPage < UInt64(Int.max / newest.pageBytes) else {
            throw .corrupt("\(path): its last page is said to be \(newest.lastPage)")
        }
        let bytes = (Int(newest.lastPage) + 1) * newest.pageBytes
        if fileBytes < bytes { try checkThatRestIsFree(newest) }
        return bytes
    }

    private func meta(at offset: Int) throws(EngineError) -> Meta {
        let page = try read(at: offset, count: 152)
        guard page.uint16(10) & LMDBFileCheck.metaFlag != 0, page.uint32(16) == LMDBFileCheck.magic else {
            throw .corrupt("\(path) is not an LMDB environment")
        }
        guard page.uint32(20) == LMDBFileCheck.dataVersion else {
            throw .corrupt("\(path) is in LMDB's data format \(page.uint32(20)), not \(LMDBFileCheck.dataVersion)")
        }
        let pageBytes = Int(page.uint32(40))
        guard (512...65536).contains(pageBytes), pageBytes & (pageBytes - 1) == 0 else {
            throw .corrupt("\(path): pages of \(pageBytes) bytes")
        }
        return Meta(
            pageBytes: pageBytes, freeRoot: page.uint64(80), lastPage: page.uint64(136), transaction: page.uint64(144))
    }

    /// Every page that the file should have and has not must be in the free list.
    private func checkThatRestIsFree(_ meta: Meta) throws(EngineError) {
        let firstMissing = UInt64(fileBytes / meta.pageBytes)
        let missing = meta.lastPage + 1 - firstMissing
        var found: [UInt64] = []
        if meta.freeRoot != LMDBFileCheck.noPage {
            try collectFreePages(from: firstMissing, to: meta.lastPage, page: meta.freeRoot, meta, depth: 0, &found)
        }
        found.sort()
        var unique: UInt64 = 0
        var previous = LMDBFileCheck.noPage
        for page in found where page != previous {
            unique += 1
            previous = page
        }
        guard unique == missing else {
            let usedBytes = (meta.lastPage + 1) * UInt64(meta.pageBytes)
            throw .corrupt("\(path) is cut short: \(fileBytes) bytes, where \(usedBytes) are in use")
        }
    }

    private func collectFreePages(
        from first: UInt64, to last: UInt64, page number: UInt64, _ meta: Meta, depth: Int, _ found: inout [UInt64]
    ) throws(EngineError) {
        guard depth < LMDBFileCheck.depthMax else { throw .corrupt("\(path): its free list is too deep") }
        let page = try readPage(number, meta)
        let flags = page.uint16(10)
        let slotsEnd = Int(page.uint16(12))
        guard slotsEnd >= LMDBFileCheck.pageHeaderBytes, slotsEnd <= page.count else {
            throw .corrupt("\(path): page \(number) is not sound")
        }
        for slot in stride(from: LMDBFileCheck.pageHeaderBytes, to: slotsEnd - 1, by: 2) {
            let node = Int(page.uint16(slot))
            guard node + 8 <= page.count else { throw .corrupt("\(path): page \(number) is not sound") }
            let low = UInt64(page.uint16(node)) | UInt64(page.uint16(node + 2)) << 16
            let nodeFlags = page.uint16(node + 4)
            if flags & LMDBFileCheck.branchFlag != 0 {
                let child = low | UInt64(nodeFlags) << 32
                try collectFreePages(from: first, to: last, page: child, meta, depth: depth + 1, &found)
            } else if flags & LMDBFileCheck.leafFlag != 0 {
                let data = node + 8 + Int(page.uint16(node + 6))
                let list: [UInt8]
                if nodeFlags & LMDBFileCheck.bigDataFlag != 0 {
                    guard data + 8 <= page.count else { throw .corrupt("\(path): page \(number) is not sound") }
                    let overflow = try offset(of: page.uint64(data), meta)
                    list = try read(at: overflow + LMDBFileCheck.pageHeaderBytes, count: Int(low))
                } else {
                    guard data + Int(low) <= page.count else { throw .corrupt("\(path): page \(number) is not sound") }
                    list = Array(page[data..<data + Int(low)])
                }
                // The number of pages comes before the pages.
                for entry in stride(from: 8, through: list.count - 8, by: 8) {
                    let free = list.uint64(entry)
                    if free >= first, free <= last { found.append(free) }
                }
            } else {
                throw .corrupt("\(path): page \(number) is not sound")
            }
        }
    }

    private func readPage(_ number: UInt64, _ meta: Meta) throws(EngineError) -> [UInt8] {
        try read(at: try offset(of: number, meta), count: meta.pageBytes)
    }

    private func offset(of page: UInt64, _ meta: Meta) throws(EngineError) -> Int {
        guard page <= meta.lastPage else { throw .corrupt("\(path): page \(page) is past the last one") }
        return Int(page) * meta.pageBytes
    }

    private func read(at offset: Int, count: Int) throws(EngineError) -> [UInt8] {
        guard count >= 0, offset <= fileBytes - count else {
            throw .corrupt("\(path) is cut short: it ends at \(fileBytes), before \(offset + count)")
        }
        var failure: Int32 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            while initialized < count {
                let got = unsafe pread(
                    descriptor, buffer.baseAddress! + initialized, count - initialized, off_t(offset + initialized))
                if got > 0 {
                    initialized += got
                } else if got == 0 || errno != EINTR {
                    failure = got == 0 ? EIO : errno
                    return
                }
            }
        }
        if failure != 0 { throw .io("\(path): \(LMDBFailure.text(failure))") }
        return bytes
    }
}

/// LMDB writes numbers as the machine does; a file from one of the other order is refused by its magic.
extension [UInt8] {
    fileprivate func uint16(_ offset: Int) -> UInt16 {
        unsafe withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: UInt16.self) }
    }
    fileprivate func uint32(_ offset: Int) -> UInt32 {
        unsafe withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
    }
    fileprivate func uint64(_ offset: Int) -> UInt64 {
        unsafe withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
    }
}
