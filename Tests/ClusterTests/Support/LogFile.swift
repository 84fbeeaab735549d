import Foundation

/// The newest segment of a member's log, to be damaged while the member is down.
struct LogFile {
    let path: String
    /// `Documentation/formats/write-ahead-log.md`: the first record begins behind the header's block.
    static let headerBytes: UInt64 = 4096

    init(of member: TestMember) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: member.logDirectory)
            .filter { $0.hasSuffix(".wal") }
        guard let newest = names.max() else { throw ClusterFailure("\(member.name) has no log") }
        path = "\(member.logDirectory)/\(newest)"
    }

    /// Behind the last byte that is not zero: what follows was allocated and never written.
    func end() throws -> UInt64 {
        let data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
        return try data.withUnsafeBytes { bytes in
            var chunkEnd = bytes.count
            while chunkEnd > 0 {
                let start = max(0, chunkEnd - 65_536)
                let chunk = UnsafeRawBufferPointer(rebasing: bytes[start..<chunkEnd])
                if let base = chunk.baseAddress, chunk[0] != 0 || memcmp(base, base + 1, chunk.count - 1) != 0,
                    let last = chunk.lastIndex(where: { $0 != 0 })
                {
                    return UInt64(start + last + 1)
                }
                chunkEnd = start
            }
            throw ClusterFailure("\(path) is empty")
        }
    }

    func overwrite(_ bytes: [UInt8], at offset: UInt64) throws {
        guard let file = FileHandle(forUpdatingAtPath: path) else { throw ClusterFailure("cannot write \(path)") }
        try file.seek(toOffset: offset)
        try file.write(contentsOf: Data(bytes))
        try file.close()
    }

    func byte(at offset: UInt64) throws -> UInt8 {
        guard let file = FileHandle(forReadingAtPath: path) else { throw ClusterFailure("cannot read \(path)") }
        defer { try? file.close() }
        try file.seek(toOffset: offset)
        guard let byte = try file.read(upToCount: 1)?.first else { throw ClusterFailure("\(path) is too short") }
        return byte
    }
}
