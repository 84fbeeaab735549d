import ByteCodec
import Platform
import StorageEngine

/// An open journal: the rows that there were when it was begun, then every commit since.
struct Journal {
    private static let magic = Array("martlet journal\n".utf8)
    private static let formatVersion: UInt32 = 1
    private static let headerBytes = 24
    /// Rows that were there at the beginning come in records of about this size.
    private static let baseRecordBytes = 1 << 20

    private let files: JournalFiles
    private let number: Int
    private let file: any File
    private var nextSequence: UInt64
    private(set) var bytes: Int

    // MARK: Writing

    /// Durable when it returns.
    mutating func append(_ finished: [UInt8]) throws(EngineError) {
        try write(finished)
        try Self.io { () throws(FileError) in try file.synchronize() }
    }

    private mutating func write(_ finished: [UInt8]) throws(EngineError) {
        var record = finished
        JournalRecord.number(&record, nextSequence)
        let (file, offset) = (file, bytes)
        try Self.write(record, to: file, at: offset)
        bytes += record.count
        nextSequence += 1
    }

    private static func write(_ bytes: [UInt8], to file: any File, at offset: Int) throws(EngineError) {
        let result: Result<Void, FileError> = bytes.withUnsafeBytes { raw in
            Result { () throws(FileError) in try file.write(raw, at: offset) }
        }
        try io { () throws(FileError) in try result.get() }
    }

    func close() { file.close() }

    /// A journal that begins with these rows, in this one's place. Until its name is durable, this one counts.
    func rewritten(_ rows: any EngineSnapshot) throws(EngineError) -> Journal {
        let new = try Self.make(files, number: number + 1, rows)
        close()
        return new
    }

    private static func make(
        _ files: JournalFiles, number: Int, _ rows: (any EngineSnapshot)?
    ) throws(EngineError) -> Journal {
        let unfinished = files.unfinishedPath(number)
        let file = try io { () throws(FileError) in
            if files.fileSystem.exists(unfinished) { try files.fileSystem.removeFile(unfinished) }
            return try files.fileSystem.open(unfinished, .create)
        }
        var journal = Journal(files: files, number: number, file: file, nextSequence: 1, bytes: 0)
        do throws(EngineError) {
            try journal.begin(rows)
            try io { () throws(FileError) in
                try file.synchronize()
                try files.fileSystem.rename(unfinished, to: files.path(number))
                try files.fileSystem.synchronizeDirectory(files.directory)
            }
        } catch {
            file.close()
            do { try files.fileSystem.removeFile(unfinished) } catch {}
            throw error
        }
        // What cannot be removed now is removed at the next start.
        do { try files.clear(but: number) } catch {}
        return journal
    }

    private mutating func begin(_ rows: (any EngineSnapshot)?) throws(EngineError) {
        var header = ByteWriter(reservingCapacity: Self.headerBytes)
        header.write(Self.magic)
        header.write(Self.formatVersion)
        header.write(CRC32C.checksum(header.bytes))
        try Self.write(header.bytes, to: file, at: 0)
        bytes = Self.headerBytes
        if let rows {
            var record = JournalRecord(.base)
            for table in Table.allCases {
                let cursor = rows.makeCursor(table)
                var more = cursor.first()
                while more {
                    record.add(table, cursor.key, cursor.value)
                    if record.payloadBytes >= Self.baseRecordBytes {
                        try write(record.finish())
                        record = JournalRecord(.base)
                    }
                    more = cursor.next()
                }
            }
            if record.payloadBytes > 0 { try write(record.finish()) }
        }
        try write(JournalRecord(.baseEnd).finish())
    }

    // MARK: Reading

    /// Opens what is there, or makes it, and brings all rows and commits into `memory`, in order.
    static func open(_ files: JournalFiles, into memory: MemoryEngine) throws(EngineError) -> Journal {
        let newest = try io { () throws(FileError) in
            try files.fileSystem.createDirectory(files.directory)
            let newest = try files.numbers().last
            // Nothing but what was not finished, or not removed.
            if let newest { try files.clear(but: newest) }
            return newest
        }
        guard let newest else { return try make(files, number: 1, nil) }
        let path = files.path(newest)
        let file = try io { () throws(FileError) in try files.fileSystem.open(path, .readWrite) }
        do throws(EngineError) {
            var journal = Journal(files: files, number: newest, file: file, nextSequence: 1, bytes: headerBytes)
            try journal.read(path, into: memory)
            return journal
        } catch {
            file.close()
            throw error
        }
    }

    private mutating func read(_ path: String, into memory: MemoryEngine) throws(EngineError) {
        func damaged(_ what: String) -> EngineError { .corrupt("\(path): \(what)") }
        let file = file
        let end = try Self.io { () throws(FileError) in try file.size() }
        try Self.checkHeader(Self.bytes(of: file, at: 0, min(Self.headerBytes, end)), path)
        var isBaseWhole = false
        while bytes < end {
            let offset = bytes
            guard let head = try head(at: offset, before: end) else {
                // The end of a commit that was never acknowledged: the power was cut while it was written.
                guard isBaseWhole else { throw damaged("its beginning is damaged at byte \(offset)") }
                break
            }
            let next = offset + JournalRecord.Head.bytes + head.payloadBytes
            guard next <= end else {
                guard isBaseWhole else { throw damaged("its beginning is cut off") }
                break
            }
            let payload = try Self.bytes(of: file, at: offset + JournalRecord.Head.bytes, head.payloadBytes)
            guard CRC32C.checksum(payload) == head.payloadChecksum else {
                // Only the last record can be one that was not acknowledged.
                guard isBaseWhole, next == end else { throw damaged("the record at byte \(offset) is damaged") }
                break
            }
            switch head.kind {
            case .base where !isBaseWhole, .commit where isBaseWhole:
                do throws(DecodingError) {
                    try Self.apply(payload, to: memory)
                } catch {
                    throw damaged("the record at byte \(offset): \(error)")
                }
            case .baseEnd where !isBaseWhole: isBaseWhole = true
            case .base, .commit, .baseEnd: throw damaged("the record at byte \(offset) is out of place")
            }
            bytes = next
            nextSequence += 1
        }
        guard isBaseWhole else { throw damaged("its beginning is cut off") }
        if bytes < end {
            let whole = bytes
            // Durably, or what is appended next could be taken for its rest.
            try Self.io { () throws(FileError) in
                try file.truncate(to: whole)
                try file.synchronize()
            }
        }
    }

    private func head(at offset: Int, before end: Int) throws(EngineError) -> JournalRecord.Head? {
        let bytes = try Self.bytes(of: file, at: offset, min(JournalRecord.Head.bytes, end - offset))
        do {
            return try bytes.withUnsafeBytes { try JournalRecord.head($0, sequence: nextSequence) }
        } catch {
            return nil
        }
    }

    private static func apply(_ payload: [UInt8], to memory: MemoryEngine) throws(DecodingError) {
        var failure: DecodingError? = nil
        do {
            try memory.change { rows in
                do throws(DecodingError) {
                    let result: Result<Void, DecodingError> = payload.withUnsafeBytes { bytes in
                        Result { () throws(DecodingError) in try JournalRecord.apply(bytes, to: &rows) }
                    }
                    try result.get()
                } catch {
                    failure = error
                }
            }
        } catch {
            preconditionFailure("nobody has closed it")
        }
        if let failure { throw failure }
    }

    private static func checkHeader(_ header: [UInt8], _ path: String) throws(EngineError) {
        guard header.count == headerBytes, header.starts(with: magic) else {
            throw .corrupt("\(path) is no journal of this store")
        }
        func number(_ place: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(header[place + $1]) << (8 * UInt32($1)) }
        }
        guard number(20) == CRC32C.checksum(Array(header[..<20])) else {
            throw .corrupt("\(path): its first bytes are damaged")
        }
        guard number(16) == formatVersion else {
            throw .corrupt(
                "\(path) is in format \(number(16)) of the engine memory, and this version knows \(formatVersion)")
        }
    }

    private static func bytes(of file: any File, at offset: Int, _ count: Int) throws(EngineError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let result: Result<Int, FileError> = bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(FileError) in try file.read(into: buffer, at: offset) }
        }
        let read = try io { () throws(FileError) in try result.get() }
        guard read == count else { throw .io("a journal became shorter while it was read") }
        return bytes
    }

    private static func io<R>(_ body: () throws(FileError) -> R) throws(EngineError) -> R {
        do throws(FileError) {
            return try body()
        } catch {
            throw JournalFiles.error(error)
        }
    }
}
