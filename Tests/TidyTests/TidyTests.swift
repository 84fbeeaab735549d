import Foundation
import Testing

/// Style as a test: what a reviewer should not have to look for.
@Suite struct TidyTests {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    struct SourceFile {
        var path: String
        var lines: [String]
    }

    static func files(under folder: String, suffix: String = ".swift") throws -> [SourceFile] {
        let base = root.appendingPathComponent(folder)
        guard let walker = FileManager.default.enumerator(at: base, includingPropertiesForKeys: nil) else { return [] }
        var found: [SourceFile] = []
        for case let url as URL in walker where url.lastPathComponent.hasSuffix(suffix) {
            var isDirectory: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory)
            if isDirectory.boolValue { continue }
            let text = String(decoding: try Data(contentsOf: url), as: UTF8.self)
            let path = String(url.path.dropFirst(root.path.count + 1))
            found.append(SourceFile(path: path, lines: text.components(separatedBy: "\n")))
        }
        return found.sorted { $0.path < $1.path }
    }

    /// The targets whose code must give the same result for the same input, on every machine and in every run.
    static let pureTargets = ["RaftCore", "ByteCodec", "StorageEngine", "MVCC"]
    /// Words that would let time, chance or another thread into them.
    static let wordsBannedFromPure = [
        "import Foundation", "import NIO", "import Logging", "async ", "await ", "Task {", " Date(", "Date.now",
        "SystemRandomNumberGenerator", ".random(in:", ".shuffled()", ".randomElement()", "try?",
    ]

    @Test func `pure targets know no time, no chance, no threads and no logger`() throws {
        var looked = 0
        for target in Self.pureTargets {
            for file in try Self.files(under: "Sources/\(target)") {
                looked += 1
                for (number, line) in file.lines.enumerated() {
                    let code = line.components(separatedBy: "//")[0]
                    for word in Self.wordsBannedFromPure where code.contains(word) {
                        if word == ".random(in:", code.contains("using: &") { continue }
                        Issue.record("\(file.path):\(number + 1): \(word)")
                    }
                }
            }
        }
        #expect(looked > 10, "the sources were not found")
    }

    /// What each target may import of this package: the map of ARCHITECTURE.md. Dependencies point up it only.
    static let allowedImports: [String: Set<String>] = [
        "RaftCore": [],
        "ByteCodec": ["CByteCodec"],
        "Platform": [],
        "StorageEngine": [],
        "MVCC": ["StorageEngine", "ByteCodec"],
        "PlatformPOSIX": ["Platform"],
        "PlatformSimulation": ["Platform"],
        "LMDBEngine": ["StorageEngine", "CLMDB"],
        "RocksDBEngine": ["StorageEngine", "CRocksDB"],
        "JournalEngine": ["StorageEngine", "ByteCodec", "Platform"],
        "Zstandard": ["CZstd"],
        "WriteAheadLog": ["ByteCodec", "Platform"],
        "PeerTransport": ["RaftCore", "ByteCodec"],
        "SocketSupport": [],
        "PeerTransportNIO": ["PeerTransport", "RaftCore", "ByteCodec", "Platform", "SocketSupport"],
        "Raft": [
            "RaftCore", "WriteAheadLog", "PeerTransport", "PeerTransportNIO", "Platform", "PlatformPOSIX", "ByteCodec",
        ],
        "Digests": ["CCrypto"],
        "Replica": [
            "Raft", "RaftCore", "MVCC", "StorageEngine", "Platform", "ByteCodec", "Digests", "PeerTransport",
            "Zstandard",
        ],
        "HTTP2": ["CNghttp2", "CZlib", "SocketSupport"],
        "EtcdAPI": ["ByteCodec"],
    ]

    static func ownTargets() throws -> Set<String> {
        Set(try FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent("Sources").path))
    }

    @Test func `imports point up the map only`() throws {
        let own = try Self.ownTargets()
        for (target, allowed) in Self.allowedImports.sorted(by: { $0.key < $1.key }) {
            for file in try Self.files(under: "Sources/\(target)") {
                for line in file.lines {
                    let words = line.split(separator: " ")
                    guard let place = words.firstIndex(of: "import"), place <= 2, place + 1 < words.count else {
                        continue
                    }
                    let module = String(words[place + 1].split(separator: ".")[0])
                    if own.contains(module), module != target, !allowed.contains(module) {
                        Issue.record("\(file.path) imports \(module), which is not above \(target) on the map")
                    }
                }
            }
        }
    }

    @Test func `no line is longer than 120 columns`() throws {
        for folder in ["Sources", "Tests"] {
            for file in try Self.files(under: folder) where !file.path.contains("/Generated/") {
                for (number, line) in file.lines.enumerated() where line.count > 120 {
                    Issue.record("\(file.path):\(number + 1) has \(line.count) columns")
                }
            }
        }
    }

    @Test func `nothing is left for later without saying so in the roadmap`() throws {
        let marks = ["TO" + "DO", "FIX" + "ME", "not " + "implemented"]
        for folder in ["Sources", "Tests", "scripts", "Benchmarks"] {
            for file in try Self.files(under: folder, suffix: "") where !file.path.contains("/.build") {
                for (number, line) in file.lines.enumerated() {
                    for mark in marks where line.contains(mark) {
                        Issue.record("\(file.path):\(number + 1): \(mark)")
                    }
                }
            }
        }
    }

    @Test func `every target has a line in the architecture's map`() throws {
        let text = try String(contentsOf: Self.root.appendingPathComponent("ARCHITECTURE.md"), encoding: .utf8)
        for target in try Self.ownTargets().sorted() {
            #expect(text.contains("`\(target)`"), "\(target) is not on the map")
        }
    }
}
