import StorageEngine

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Walks the trees of an environment's data file before LMDB maps it (decision 0011).
///
/// LMDB believes its pages: a length, a flag or a page number that is wrong in one leads it out of the page, the tree
/// or the mapped file, and a key that is wrong or out of order hides rows. So every page that the newest meta page
/// leads to is looked at: that it is the page and of the kind that it should be; that its nodes lie in it, next to each
/// other, and fill what is said to be filled; that keys are in order, within a page and under the keys of the pages
/// above; that all leaves are as deep, and hold as many rows, as the tree's record says; and that no page is used
/// twice, by trees or by the list of free pages. What is left to flip is a row's own bytes where its key stays in
/// order, and rows that matter have checksums of their own.
///
/// The layouts are those of LMDB's data format 1 (`MDB_page`, `MDB_node`, `MDB_db` in its `mdb.c`).
@safe struct LMDBTreeCheck: ~Copyable {
    /// Whether the tables' leaves are looked at too, or only the pages above them: those are some hundredths of the
    /// file.
    private let checksLeaves: Bool
    private let meta: LMDBFileCheck.Meta
    private let descriptor: Int32
    private let fileBytes: Int
    private let path: String
    /// One page for each level of the path that is being walked.
    private var levels: [UnsafeMutableRawBufferPointer] = unsafe []
    /// A bit for each page that something was found to use.
    private var used: [UInt64]
    /// The tables that the main tree names.
    private var tables: [Tree] = []

    /// A tree's record, 48 bytes: in a meta page, or a value in the main tree.
    struct Tree {
        static let recordBytes = 48
        /// REVERSEKEY, DUPSORT, INTEGERKEY, DUPFIXED, INTEGERDUP, REVERSEDUP, and FIXEDMAP.
        private static let kindMask: UInt16 = 0x7f
        static let integerKeyFlag: UInt16 = 0x08

        let name: String
        let kind: UInt16
        let depth: Int
        let entries: UInt64
        let root: UInt64

        init(_ name: String, _ record: UnsafeRawBufferPointer) {
            self.name = name
            kind = unsafe record.load16(4) & Self.kindMask
            depth = unsafe Int(record.load16(6))
            entries = unsafe record.load64(32)
            root = unsafe record.load64(40)
        }
    }

    private enum Content {
        case freePages
        case tables
        case rows
    }

    init(
        _ meta: LMDBFileCheck.Meta, descriptor: Int32, fileBytes: Int, path: String, checksLeaves: Bool
    ) {
        self.meta = meta
        self.descriptor = descriptor
        self.fileBytes = fileBytes
        self.path = path
        self.checksLeaves = checksLeaves
        used = [UInt64](repeating: 0, count: Int(meta.lastPage / 64) + 1)
        // The meta pages.
        used[0] = 0b11
    }

    deinit { unsafe levels.forEach { unsafe $0.deallocate() } }

    consuming func run() throws(EngineError) {
        if checksLeaves {
            // All of it is read, in the trees' order: ahead of that, in the file's.
            _ = posix_fadvise(descriptor, 0, off_t(fileBytes), POSIX_FADV_WILLNEED)
        }
        try check(meta.main, .tables)
        let tables = tables
        for table in tables { try check(table, .rows) }
        // Last, when all pages in use are known.
        try check(meta.free, .freePages)
    }

    // MARK: Trees

    private mutating func check(_ tree: Tree, _ content: Content) throws(EngineError) {
        let expectedKind = content == .freePages ? Tree.integerKeyFlag : 0
        guard tree.kind == expectedKind, tree.depth <= LMDBFileCheck.depthMax,
            (tree.root == LMDBFileCheck.noPage) == (tree.depth == 0)
        else { throw damaged("the record of \(tree.name) is not sound") }
        var rows: UInt64 = 0
        if tree.depth > 0 { unsafe try walk(tree, content, tree.root, level: 0, from: nil, to: nil, &rows) }
        let isCounted = checksLeaves || content != .rows || tree.depth <= 1
        guard !isCounted || rows == tree.entries else {
            throw damaged("\(tree.name) holds \(rows) rows, and should hold \(tree.entries)")
        }
    }

    /// Looks at a page and all below it, whose keys lie from `low` on and before `high`.
    private mutating func walk(
        _ tree: Tree, _ content: Content, _ number: UInt64, level: Int, from low: UnsafeRawBufferPointer?,
        to high: UnsafeRawBufferPointer?, _ rows: inout UInt64
    ) throws(EngineError) {
        try use(number)
        let isLeaf = level == tree.depth - 1
        // A tree of one level is looked at whatever its content.
        if isLeaf, level > 0, content == .rows, !checksLeaves { return }
        let page = unsafe try read(number, level: level)
        let nodes = unsafe try nodeCount(page, number, isLeaf: isLeaf)
        // LMDB wants two below each page, but for its own tree of free pages, where one happens (its issue 8054).
        guard nodes >= (isLeaf || content == .freePages ? 1 : 2) else { throw unsound(number) }
        let upper = unsafe Int(page.load16(14))
        let isInteger = content == .freePages
        var nodeBytes = 0
        var previous: UnsafeRawBufferPointer? = nil
        for index in 0..<nodes {
            let offset = unsafe Int(page.load16(LMDBFileCheck.pageHeaderBytes + 2 * index))
            guard offset >= upper, offset + 8 <= page.count else { throw unsound(number) }
            let header = unsafe page.load64(offset)
            let flags = UInt16(truncatingIfNeeded: header >> 32)
            let keyBytes = Int(header >> 48)
            let size = Int(UInt32(truncatingIfNeeded: header))
            let isBig = isLeaf && flags & LMDBFileCheck.bigDataFlag != 0
            let count = 8 + keyBytes + (isLeaf ? (isBig ? 8 : size) : 0)
            guard offset + count <= page.count else { throw unsound(number) }
            nodeBytes += count + count & 1
            let key = unsafe UnsafeRawBufferPointer(rebasing: page[offset + 8..<offset + 8 + keyBytes])
            // The first key of a branch page is not looked at: it stands for everything before the second.
            if isLeaf || index > 0 {
                guard keyBytes > 0, !isInteger || keyBytes == 8 else { throw unsound(number) }
                if let floor = unsafe previous ?? low {
                    let order = unsafe compare(floor, key, isInteger)
                    // A page may begin with the very key that leads to it.
                    let isInOrder = unsafe previous == nil ? order <= 0 : order < 0
                    guard isInOrder else { throw damaged("keys in page \(number) are out of order") }
                }
                unsafe previous = unsafe key
            }
            guard isLeaf else { continue }
            rows += 1
            unsafe try checkRow(content, number, key, flags, size, page, at: offset + 8 + keyBytes, isBig: isBig)
        }
        if let last = unsafe previous, let high = unsafe high, unsafe compare(last, high, isInteger) >= 0 {
            throw damaged("keys in page \(number) are out of order")
        }
        guard nodeBytes == page.count - upper else { throw unsound(number) }
        if isLeaf { return }
        for index in 0..<nodes {
            let (child, childLow) = unsafe branch(page, index)
            let childHigh = unsafe index + 1 < nodes ? branch(page, index + 1).key : high
            unsafe try walk(
                tree, content, child, level: level + 1, from: index == 0 ? low : childLow, to: childHigh, &rows)
        }
    }

    private func branch(
        _ page: UnsafeRawBufferPointer, _ index: Int
    ) -> (child: UInt64, key: UnsafeRawBufferPointer) {
        let offset = unsafe Int(page.load16(LMDBFileCheck.pageHeaderBytes + 2 * index))
        let header = unsafe page.load64(offset)
        return unsafe (
            header & 0xffff_ffff_ffff,
            UnsafeRawBufferPointer(rebasing: page[offset + 8..<offset + 8 + Int(header >> 48)])
        )
    }

    // MARK: Rows

    private mutating func checkRow(
        _ content: Content, _ number: UInt64, _ key: UnsafeRawBufferPointer, _ flags: UInt16, _ size: Int,
        _ page: UnsafeRawBufferPointer, at offset: Int, isBig: Bool
    ) throws(EngineError) {
        var overflow: UInt64 = 0
        if isBig {
            overflow = unsafe page.load64(offset)
            try checkOverflow(overflow, size)
        }
        switch content {
        case .rows:
            guard flags & ~LMDBFileCheck.bigDataFlag == 0 else { throw unsound(number) }
        case .tables:
            if flags == 0 { return }
            guard flags == LMDBFileCheck.tableFlag, size == Tree.recordBytes else { throw unsound(number) }
            let record = unsafe UnsafeRawBufferPointer(rebasing: page[offset..<offset + size])
            unsafe tables.append(Tree("the table \(String(decoding: key, as: UTF8.self))", record))
        case .freePages:
            // Freed by a transaction that came later than the last one?
            guard flags & ~LMDBFileCheck.bigDataFlag == 0, unsafe key.load64(0) <= meta.transaction else {
                throw unsound(number)
            }
            if isBig {
                let place = Int(overflow) * meta.pageBytes + LMDBFileCheck.pageHeaderBytes
                let list = try LMDBFileCheck.read(descriptor, path, at: place, count: size, fileBytes: fileBytes)
                unsafe try useFree(list.withUnsafeBytes { unsafe $0.freePages() }, number)
            } else {
                unsafe try useFree(UnsafeRawBufferPointer(rebasing: page[offset..<offset + size]).freePages(), number)
            }
        }
    }

    private mutating func useFree(_ list: [UInt64]?, _ number: UInt64) throws(EngineError) {
        guard let list else { throw unsound(number) }
        for page in list { try use(page) }
    }

    /// A value that has pages of its own, one after the other.
    private mutating func checkOverflow(_ number: UInt64, _ size: Int) throws(EngineError) {
        let start = try checked(number) * meta.pageBytes
        let header = try LMDBFileCheck.read(
            descriptor, path, at: start, count: LMDBFileCheck.pageHeaderBytes, fileBytes: fileBytes)
        let (itself, flags, pages) = unsafe header.withUnsafeBytes { header in
            unsafe (header.load64(0), header.load16(10), UInt64(header.load32(12)))
        }
        // A value that was made shorter within a transaction may leave pages unused at its end.
        guard itself == number, flags == LMDBFileCheck.overflowFlag, pages >= 1, pages <= meta.lastPage,
            Int(pages) * meta.pageBytes >= LMDBFileCheck.pageHeaderBytes + size,
            start + LMDBFileCheck.pageHeaderBytes + size <= fileBytes
        else { throw unsound(number) }
        for page in number..<number + pages { try use(page) }
    }

    // MARK: Pages

    private func nodeCount(
        _ page: UnsafeRawBufferPointer, _ number: UInt64, isLeaf: Bool
    ) throws(EngineError) -> Int {
        let flags = isLeaf ? LMDBFileCheck.leafFlag : LMDBFileCheck.branchFlag
        let lower = unsafe Int(page.load16(12))
        let upper = unsafe Int(page.load16(14))
        guard unsafe page.load64(0) == number, unsafe page.load16(10) == flags,
            lower >= LMDBFileCheck.pageHeaderBytes, lower & 1 == 0, lower <= upper, upper <= page.count
        else { throw unsound(number) }
        return (lower - LMDBFileCheck.pageHeaderBytes) / 2
    }

    private func checked(_ number: UInt64) throws(EngineError) -> Int {
        guard number >= 2, number <= meta.lastPage else {
            throw damaged("page \(number) is used, of \(meta.lastPage + 1)")
        }
        return Int(number)
    }

    private mutating func use(_ number: UInt64) throws(EngineError) {
        let place = try checked(number)
        let bit: UInt64 = 1 << UInt64(place % 64)
        guard used[place / 64] & bit == 0 else { throw damaged("page \(number) is used twice") }
        used[place / 64] |= bit
    }

    private mutating func read(_ number: UInt64, level: Int) throws(EngineError) -> UnsafeRawBufferPointer {
        while unsafe levels.count <= level {
            unsafe levels.append(.allocate(byteCount: meta.pageBytes, alignment: 16))
        }
        let page = unsafe levels[level]
        unsafe try LMDBFileCheck.read(
            descriptor, path, at: Int(number) * meta.pageBytes, into: page, fileBytes: fileBytes)
        return UnsafeRawBufferPointer(page)
    }

    private func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer, _ isInteger: Bool) -> Int {
        guard isInteger else { return unsafe compareKeys(a, b) }
        let (first, second) = unsafe (a.load64(0), b.load64(0))
        return first < second ? -1 : (first == second ? 0 : 1)
    }

    private func unsound(_ number: UInt64) -> EngineError { damaged("page \(number) is not sound") }
    private func damaged(_ what: String) -> EngineError { .corrupt("\(path): \(what)") }
}

/// LMDB writes numbers as the machine does; a file from one of the other order is refused by its magic.
extension UnsafeRawBufferPointer {
    func load16(_ offset: Int) -> UInt16 { unsafe loadUnaligned(fromByteOffset: offset, as: UInt16.self) }
    func load32(_ offset: Int) -> UInt32 { unsafe loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
    func load64(_ offset: Int) -> UInt64 { unsafe loadUnaligned(fromByteOffset: offset, as: UInt64.self) }

    /// A list of free pages: their number, then theirs. nil if it is none.
    fileprivate func freePages() -> [UInt64]? {
        guard count >= 8, unsafe load64(0) <= UInt64(count / 8 - 1) else { return nil }
        return unsafe (0..<Int(load64(0))).map { unsafe load64(8 + 8 * $0) }
    }
}
