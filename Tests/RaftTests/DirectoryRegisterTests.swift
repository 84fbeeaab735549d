import PeerTransport
import Platform
import PlatformPOSIX
import RaftCore
import Testing

@testable import Raft

@Suite struct DirectoryRegisterTests {
    private let files = POSIXFileSystem()

    private func withDirectory(_ body: (String) throws -> Void) throws {
        let directory = try TemporaryDirectory()
        try body(directory.path)
    }

    @Test func `a member is recognised by the directory that it named first, also after a restart`() throws {
        try withDirectory { path in
            let register = try DirectoryRegister.make(in: path, files)
            #expect(register.recognise(NodeID(2), DirectoryID(20)) == .known)
            #expect(register.recognise(NodeID(3), DirectoryID(30)) == .known)
            #expect(register.recognise(NodeID(2), DirectoryID(21)) == .another)
            let again = try #require(try DirectoryRegister.open(in: path, files))
            #expect(again.own == register.own)
            #expect(again.recognise(NodeID(2), DirectoryID(20)) == .known)
            #expect(again.recognise(NodeID(2), DirectoryID(21)) == .another)
            #expect(again.recognise(NodeID(3), DirectoryID(20)) == .another)
        }
    }

    @Test func `two directories have two ids`() throws {
        try withDirectory { one in
            try withDirectory { two in
                let (first, second) = (
                    try DirectoryRegister.make(in: one, files), try DirectoryRegister.make(in: two, files)
                )
                #expect(first.own != second.own)
            }
        }
    }

    @Test func `where there is no file, there is no register, and none is made`() throws {
        try withDirectory { path in
            let hasNone = try DirectoryRegister.open(in: path, files) == nil
            let names = try files.list(path)
            #expect(hasNone && names.isEmpty)
        }
    }

    @Test func `any flipped bit, and any cut, is refused`() throws {
        try withDirectory { path in
            let register = try DirectoryRegister.make(in: path, files)
            _ = register.recognise(NodeID(2), DirectoryID(20))
            let name = "\(path)/\(DirectoryRegister.fileName)"
            let file = try files.open(name, .readWrite)
            defer { file.close() }
            let size = try file.size()
            #expect(size == 8 + 8 + 4 + 16 + 4)
            var bytes = [UInt8](repeating: 0, count: size)
            _ = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
            for bit in 0..<(size * 8) {
                var damaged = bytes
                damaged[bit / 8] ^= 1 << (bit % 8)
                try damaged.withUnsafeBytes { try file.write($0, at: 0) }
                #expect(throws: DirectoryRegisterDamage.self) { try DirectoryRegister.open(in: path, files) }
            }
            try bytes.withUnsafeBytes { try file.write($0, at: 0) }
            let isWhole = try DirectoryRegister.open(in: path, files) != nil
            #expect(isWhole)
            for length in stride(from: size - 1, through: 0, by: -1) {
                try file.truncate(to: length)
                #expect(throws: DirectoryRegisterDamage.self) { try DirectoryRegister.open(in: path, files) }
            }
        }
    }

    @Test func `what cannot be remembered is not taken for known`() throws {
        try withDirectory { path in
            let register = try DirectoryRegister.make(in: path, files)
            try files.removeTree(path)
            let recognition = register.recognise(NodeID(2), DirectoryID(20))
            guard case .unknown = recognition else {
                Issue.record("a member was recognised without being remembered")
                return
            }
        }
    }
}
