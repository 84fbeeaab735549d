import StorageEngine

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Looks at an environment's data file before LMDB maps it.
///
/// LMDB trusts its file: a page that the file does not have raises SIGBUS when it is touched, and a foreign page size
/// divides by zero. So what it trusts is looked at with plain reads first: the two meta pages, that the file is as long
/// as they say, and the trees (``LMDBTreeCheck``). (LMDB 0.9 keeps no checksums of pages; the rows' own are the
/// reader's to check.)
///
/// A sound file may end early only by pages that are free: taken and given back within one transaction, they were never
/// written. Then the free list, itself a B+tree of pages, is read to see that they are.
@safe struct LMDBFileCheck: ~Copyable {
    static let pageHeaderBytes = 16
    private static let magic: UInt32 = 0xBEEF_C0DE
    private static let dataVersion: UInt32 = 1
    static let branchFlag: UInt16 = 0x01
    static let leafFlag: UInt16 = 0x02
    static let overflowFlag: UInt16 = 0x04
    private static let metaFlag: UInt16 = 0x08
    static let bigDataFlag: UInt16 = 0x01
    /// A node of the main tree that is a table's record.
    static let tableFlag: UInt16 = 0x02
    static let noPage = UInt64.max
    /// LMDB's own limit (`CURSOR_STACK`).
    static let depthMax = 32

    struct Meta {
        let pageBytes: Int
        let free: LMDBTreeCheck.Tree
        let main: LMDBTreeCheck.Tree
        let lastPage: UInt64
        let transaction: UInt64
    }

    private let descriptor: Int32
    private let fileBytes: Int
    private let path: String

    /// Throws if the file is there and is not a sound environment's. Returns how many bytes it must be mapped with.
    /// Of a file of more than `leavesBytesMax` the tables' leaves are not looked at.
    static func check(_ path: String, leavesBytesMax: Int) throws(EngineError) -> Int {
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
        return try check.run(leavesBytesMax: leavesBytesMax)
    }

    private init(descriptor: Int32, fileBytes: Int, path: String) {
        self.descriptor = descriptor
        self.fileBytes = fileBytes
        self.path = path
    }

    deinit { _ = closeFile(descriptor) }

    private func run(leavesBytesMax: Int) throws(EngineError) -> Int {
        // Made, but nothing was written yet.
        if fileBytes == 0 { return 0 }
        let first = try meta(at: 0)
        let second = try meta(at: first.pageBytes)
        // Transactions write the two by turns, each over the one before the last; both are of none in a new file.
        let isNew = first.transaction == 0 && second.transaction == 0
        guard first.pageBytes == second.pageBytes,
            isNew
                || (first.transaction % 2 == 0
                    && max(first.transaction, second.transaction)
                        - min(first.transaction, second.transaction) == 1)
        else { throw .corrupt("\(path): its meta pages do not agree") }
        let newest = second.transaction > first.transaction ? second : first
        guard newest.lastPage < UInt64(Int.max / newest.pageBytes) else {
            throw .corrupt("\(path): its last page is said to be \(newest.lastPage)")
        }
        let bytes = (Int(newest.lastPage) + 1) * newest.pageBytes
        if fileBytes < bytes { try checkThatRestIsFree(newest) }
        try LMDBTreeCheck(
            newest, descriptor: descriptor, fileBytes: fileBytes, path: path,
            checksLeaves: fileBytes <= leavesBytesMax
        ).run()
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
        return unsafe page.withUnsafeBytes { page in
            func tree(_ name: String, _ offset: Int) -> LMDBTreeCheck.Tree {
                let record = unsafe page[offset..<offset + LMDBTreeCheck.Tree.recordBytes]
                return unsafe LMDBTreeCheck.Tree(name, UnsafeRawBufferPointer(rebasing: record))
            }
            return unsafe Meta(
                pageBytes: pageBytes, free: tree("the list of free pages", 40), main: tree("the list of tables", 88),
                lastPage: page.load64(136), transaction: page.load64(144))
        }
    }

    /// Every page that the file should have and has not must be in the free list.
    private func checkThatRestIsFree(_ meta: Meta) throws(EngineError) {
        let firstMissing = UInt64(fileBytes / meta.pageBytes)
        let missing = meta.lastPage + 1 - firstMissing
        var found: [UInt64] = []
        if meta.free.root != LMDBFileCheck.noPage {
            try collectFreePages(from: firstMissing, to: meta.lastPage, page: meta.free.root, meta, depth: 0, &found)
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
        try LMDBFileCheck.read(descriptor, path, at: offset, count: count, fileBytes: fileBytes)
    }

    static func read(
        _ descriptor: Int32, _ path: String, at offset: Int, count: Int, fileBytes: Int
    ) throws(EngineError) -> [UInt8] {
        guard count >= 0, offset <= fileBytes - count else {
            throw .corrupt("\(path) is cut short: it ends at \(fileBytes), before \(offset + count)")
        }
        var bytes = [UInt8](repeating: 0, count: count)
        let result: Result<Void, EngineError> = unsafe bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(EngineError) in
                unsafe try read(descriptor, path, at: offset, into: buffer, fileBytes: fileBytes)
            }
        }
        try result.get()
        return bytes
    }

    static func read(
        _ descriptor: Int32, _ path: String, at offset: Int, into buffer: UnsafeMutableRawBufferPointer, fileBytes: Int
    ) throws(EngineError) {
        guard offset <= fileBytes - buffer.count else {
            throw .corrupt("\(path) is cut short: it ends at \(fileBytes), before \(offset + buffer.count)")
        }
        var done = 0
        while done < buffer.count {
            let got = unsafe pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
            if got > 0 {
                done += got
            } else if got == 0 || errno != EINTR {
                throw .io("\(path): \(LMDBFailure.text(got == 0 ? EIO : errno))")
            }
        }
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
