import Foundation
import PlatformSimulation
import Testing
import WriteAheadLog

/// The bytes on the disk are those of the specification, whatever the code becomes.
@Suite struct FormatTests {
    /// The hex dump in `Documentation/formats/write-ahead-log.md`: bytes by their offset.
    private func example() throws -> [(offset: Int, bytes: [UInt8])] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(
            contentsOf: root.appending(path: "Documentation/formats/write-ahead-log.md"), encoding: .utf8)
        return page.split(separator: "\n").compactMap { line in
            guard line.hasPrefix("0000"), line.dropFirst(8).hasPrefix("  ") else { return nil }
            guard let offset = Int(line.prefix(8), radix: 16) else { return nil }
            let hex = line.dropFirst(10).prefix(24).split(separator: " ")
            return (offset, hex.compactMap { UInt8($0, radix: 16) })
        }
    }

    @Test func `the worked example of the specification is what the log writes`() throws {
        let disk = SimulatedDisk(seed: 1)
        var options = WALOptions(identity: [UInt8]("cluster-1/node-1".utf8), salt: 0x1122_3344_5566_7788)
        options.segmentBytes = 8192
        options.fillSliceBytes = 8192
        var kept: [Kept] = []
        var log = try openLog(disk, options, into: &kept)
        try log.keep(1, [UInt8]("hello".utf8), in: &kept)
        try log.keep(2, [], in: &kept)
        try log.synchronize()
        try log.keep(1, [UInt8]("martlet!".utf8), in: &kept)
        try log.close()
        let bytes = try #require(disk.bytes(of: segmentPath(1)))
        let dump = stride(from: 0, to: bytes.count, by: 8).filter { bytes[$0..<$0 + 8].contains { $0 != 0 } }.map {
            offset in
            String(format: "%08x  ", offset)
                + bytes[offset..<offset + 8].map { String(format: "%02x", $0) }.joined(separator: " ")
        }
        let example = try example()
        #expect(example.count == 23, "the log writes\n\(dump.joined(separator: "\n"))")
        for line in example { #expect(Array(bytes[line.offset..<line.offset + line.bytes.count]) == line.bytes) }
        // And nothing else.
        let shown = Set(example.flatMap { $0.offset..<$0.offset + $0.bytes.count })
        #expect(bytes.indices.allSatisfy { bytes[$0] == 0 || shown.contains($0) })
    }
}
