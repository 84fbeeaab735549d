import Foundation
import Platform
import PlatformPOSIX
import Testing
import WriteAheadLog

/// The log on a real disk.
@Suite struct POSIXTests {
    private func withDirectory(_ body: (String) async throws -> Void) async throws {
        let directory = NSTemporaryDirectory() + "martlet-wal-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await body(directory)
    }

    @Test(arguments: [false, true])
    func `a log is written, read, cut and opened again`(inBackground: Bool) async throws {
        try await withDirectory { directory in
            var options = testOptions(segmentBytes: 1 << 18, slice: 1 << 15)
            if inBackground { options.runInBackground = { SystemThread.start(name: "fill", $0) } }
            let disk = POSIXFileSystem()
            var kept: [Kept] = []
            var log = try openLog(disk, options, directory: directory, into: &kept)
            for batch in 0..<60 {
                for record in 0..<50 { try log.keep(1, payload(batch * 50 + record, 300), in: &kept) }
                try log.synchronize()
            }
            #expect(log.segments == 1...4)
            for record in kept.prefix(100) { #expect(try log.read(at: record.location).payload == record.payload) }
            try log.cut(before: kept[1500].location)
            try log.close()
            var found: [Kept] = []
            let again = try openLog(disk, options, directory: directory, into: &found)
            let first = kept[1500].location.segment
            #expect(again.openReport.firstSegment == first)
            #expect(again.openReport.wasSealed)
            #expect(found == kept.filter { $0.location.segment >= first })
        }
    }

    @Test func `a log says whose it is before it is opened, and nothing is changed by asking`() async throws {
        try await withDirectory { directory in
            let disk = POSIXFileSystem()
            #expect(try WriteAheadLog.identity(in: directory, disk) == nil)
            #expect(!disk.exists(directory))
            let options = testOptions(segmentBytes: 1 << 18, slice: 1 << 15)
            var kept: [Kept] = []
            var log = try openLog(disk, options, directory: directory, into: &kept)
            for number in 0..<3000 { try log.keep(1, payload(number, 300), in: &kept) }
            try log.synchronize()
            try log.cut(before: kept[2500].location)
            try log.close()
            let files = try disk.list(directory).sorted()
            #expect(try WriteAheadLog.identity(in: directory, disk) == options.identity)
            #expect(try disk.list(directory).sorted() == files)
            // Damage in the header is damage, not another owner.
            let path = "\(directory)/\(files[0])"
            let file = try disk.open(path, .readWrite)
            try [UInt8(7)].withUnsafeBytes { try file.write($0, at: 50) }
            file.close()
            #expect {
                try WriteAheadLog.identity(in: directory, disk)
            } throws: { error in
                if case WALError.corrupt(_, 12, _) = error { true } else { false }
            }
        }
    }

    @Test func `readers read while the log goes on`() async throws {
        try await withDirectory { directory in
            var kept: [Kept] = []
            let options = testOptions(segmentBytes: 1 << 16, slice: 1 << 14)
            var log = try openLog(POSIXFileSystem(), options, directory: directory, into: &kept)
            for number in 0..<200 { try log.keep(1, payload(number, 200), in: &kept) }
            try log.synchronize()
            let reader = log.reader
            let early = kept
            let readers = (0..<3).map { start in
                Task.detached {
                    var wrong = 0
                    for round in 0..<1000 {
                        let record = early[(start * 67 + round) % early.count]
                        do {
                            let (_, bytes) = try reader.read(at: record.location)
                            if bytes != record.payload { wrong += 1 }
                        } catch WALError.notFound {
                            // Cut meanwhile.
                        }
                    }
                    return wrong
                }
            }
            for number in 200..<1000 {
                try log.keep(1, payload(number, 200), in: &kept)
                try log.synchronize()
                if number == 900 { try log.cut(before: kept[number].location) }
            }
            for reader in readers { #expect(try await reader.value == 0) }
        }
    }
}
