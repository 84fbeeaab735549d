import Foundation
import Platform
import PlatformPOSIX
import Testing

extension File {
    func write(_ bytes: [UInt8], at offset: Int) throws {
        try bytes.withUnsafeBytes { try write($0, at: offset) }
    }

    func read(_ count: Int, at offset: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xee, count: count)
        let got = try bytes.withUnsafeMutableBytes { try read(into: $0, at: offset) }
        return Array(bytes.prefix(got))
    }
}

private func withDirectory(_ body: (String) throws -> Void) throws {
    let directory = NSTemporaryDirectory() + "martlet-\(UUID().uuidString)"
    try POSIXFileSystem().createDirectory(directory)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try body(directory)
}

private func mode(_ path: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return try #require(attributes[.posixPermissions] as? Int)
}

@Suite struct POSIXFileSystemTests {
    let disk = POSIXFileSystem()

    @Test func `what is written is read, beyond the end is nothing`() throws {
        try withDirectory { directory in
            let file = try disk.open(directory + "/a", .create)
            try file.write([1, 2, 3, 4], at: 2)
            try file.synchronize()
            #expect(try file.size() == 6)
            #expect(try file.read(10, at: 0) == [0, 0, 1, 2, 3, 4])
            #expect(try file.read(10, at: 6) == [])
            try file.write([], at: 100)
            #expect(try file.size() == 6)
            try file.truncate(to: 3)
            let again = try disk.open(directory + "/a", .read)
            #expect(try again.read(10, at: 0) == [0, 0, 1])
        }
    }

    @Test func `filling writes zeros behind what is there, and never makes a file shorter`() throws {
        try withDirectory { directory in
            let file = try disk.open(directory + "/a", .create)
            try file.write([1, 2, 3], at: 0)
            try file.fill(upTo: 3_000_001)
            #expect(try file.size() == 3_000_001)
            #expect(try file.read(5, at: 0) == [1, 2, 3, 0, 0])
            #expect(try file.read(5, at: 2_999_999) == [0, 0])
            try file.fill(upTo: 10)
            #expect(try file.size() == 3_000_001)
            // Written, not a hole: the blocks are there.
            var status = stat()
            #expect(stat(directory + "/a", &status) == 0)
            #expect(Int(status.st_blocks) * 512 >= 3_000_001)
        }
    }

    @Test func `directories are 0700 and files 0600`() throws {
        try withDirectory { directory in
            try disk.createDirectory(directory + "/x/y/z")
            _ = try disk.open(directory + "/x/y/z/file", .create)
            #expect(try mode(directory + "/x") == 0o700)
            #expect(try mode(directory + "/x/y/z") == 0o700)
            #expect(try mode(directory + "/x/y/z/file") == 0o600)
            try disk.createDirectory(directory + "/x/y/z/")
        }
    }

    @Test func `names are listed in order, renamed, removed, and trees with them`() throws {
        try withDirectory { directory in
            for name in ["b", "a", "c"] { _ = try disk.open(directory + "/" + name, .create) }
            try disk.rename(directory + "/c", to: directory + "/d")
            try disk.removeFile(directory + "/a")
            try disk.createDirectory(directory + "/tree/inner")
            _ = try disk.open(directory + "/tree/inner/leaf", .create)
            try FileManager.default.createSymbolicLink(
                atPath: directory + "/tree/link", withDestinationPath: directory + "/b")
            try disk.synchronizeDirectory(directory)
            #expect(try disk.list(directory) == ["b", "d", "tree"])
            try disk.removeTree(directory + "/tree")
            #expect(try disk.list(directory) == ["b", "d"])
            #expect(disk.exists(directory + "/b"))
            #expect(!disk.exists(directory + "/tree"))
        }
    }

    @Test func `errors say what was asked, of what, and why`() throws {
        try withDirectory { directory in
            let path = directory + "/missing"
            #expect(
                throws: FileError(operation: "open", path: path, errno: ENOENT, reason: "No such file or directory")
            ) {
                _ = try disk.open(path, .read)
            }
            _ = try disk.open(directory + "/there", .create)
            #expect { _ = try disk.open(directory + "/there", .create) } throws: { ($0 as? FileError)?.errno == EEXIST }
            #expect { try disk.createDirectory(directory + "/there/x") } throws: {
                ($0 as? FileError)?.errno == ENOTDIR
            }
            #expect { try disk.removeTree(path) } throws: { ($0 as? FileError)?.errno == ENOENT }
            let file = try disk.open(directory + "/there", .read)
            #expect { try file.write([1], at: 0) } throws: { ($0 as? FileError)?.errno == EBADF }
            file.close()
            file.close()
            #expect { _ = try file.size() } throws: { ($0 as? FileError)?.errno == EBADF }
        }
    }

    @Test func `a lock is one's own until it is released`() throws {
        try withDirectory { directory in
            let first = try #require(try disk.lock(directory + "/LOCK"))
            #expect(try disk.lock(directory + "/LOCK") == nil)
            first.release()
            let second = try disk.lock(directory + "/LOCK")
            #expect(second != nil)
            first.release()
            #expect(try disk.lock(directory + "/LOCK") == nil)
            second?.release()
        }
    }
}

@Suite struct SystemTests {
    @Test func `the monotonic clock moves forward and the wall clock shows this century`() {
        let clock = SystemClock()
        let before = clock.monotonicNanoseconds()
        while clock.monotonicNanoseconds() == before {}
        #expect(clock.monotonicNanoseconds() > before)
        let wall = Double(clock.wallMilliseconds()) / 1000
        #expect(abs(wall - Date().timeIntervalSince1970) < 5)
    }

    @Test func `a thread runs its body`() async {
        await withCheckedContinuation { continuation in
            SystemThread.start(name: "a name of more than fifteen bytes") { continuation.resume() }
        }
    }
}
