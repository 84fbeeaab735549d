import ByteCodec
import MVCC
import PlatformSimulation
import Raft
import RaftCore
import StorageEngine
import TestSupport
import Testing
import Zstandard

@testable import Replica

/// Snapshots on their way between members: what is sent arrives, compressed or not, and nothing that arrives is
/// believed.
@Suite struct StateSnapshotTests {
    private final class OneStaging: EngineProvider {
        let engine = MemoryEngine()
        func openCurrent() -> any StorageEngine { engine }
        func makeStaging() -> StagedEngine { StagedEngine(name: "staged", engine: engine) }
        func install(_ staged: StagedEngine) -> any StorageEngine { staged.engine }
        func discard(_ staged: StagedEngine) {}
    }

    private static let place = LogPosition(index: 1_000_000, term: 3)

    private func state(_ values: [[UInt8]]) throws -> State {
        var state = try State(store: LayeredStore(engine: MemoryEngine()))
        for (index, value) in values.enumerated() {
            let put = PutOperation(key: Array("key\(index)".utf8), value: value)
            _ = try state.apply(.put(put), at: LogPosition(index: UInt64(index) + 2, term: 3))
        }
        try state.noteApplied(Self.place)
        return state
    }

    private func chunks(_ state: State, mayCompress: Bool) throws -> [[UInt8]] {
        var state = state
        let source = StateSnapshotSource(try state.layersForSnapshot())
        var chunks: [[UInt8]] = []
        while let chunk = try source.nextChunk(mayCompress: mayCompress) { chunks.append(chunk) }
        return chunks
    }

    private func begin(_ engines: any EngineProvider) throws -> any StagingSink<StagedSnapshot> {
        try StateSnapshotReceiver(engines: engines).begin(
            SnapshotDescription(
                index: LogIndex(Self.place.index), term: Term(Self.place.term),
                configuration: Configuration(voters: [NodeID(1)])))
    }

    private func noise(_ count: Int, _ random: inout SeededRandom) -> [UInt8] {
        (0..<count).map { _ in UInt8(random.int(0...255)) }
    }

    @Test(arguments: [true, false])
    func `a state arrives as it was, whatever its values are`(mayCompress: Bool) throws {
        var random = SeededRandom(seed: 3)
        let text = Array(String(repeating: "{\"kind\": \"Pod\", \"name\": \"x\"}", count: 300).utf8)
        let state = try state(
            (0..<300).map { index in
                switch index % 3 {
                case 0: text + [UInt8(index % 256)]
                case 1: noise(3_000, &random)
                default: []
                }
            } + [noise(2_000_000, &random), [UInt8](repeating: 7, count: 3_000_000)])
        let engines = OneStaging()
        let sink = try begin(engines)
        for chunk in try chunks(state, mayCompress: mayCompress) { try sink.write(chunk) }
        _ = try sink.finish()
        let found = try State(store: LayeredStore(engine: engines.engine))
        #expect(found.revision == state.revision && found.applied == state.applied)
        let everything = RangeQuery(KeyRange(key: [0], rangeEnd: [0]))
        #expect(try found.view.range(everything).keyValues == state.view.range(everything).keyValues)
    }

    @Test func `chunks of text are short, those of noise are as they were`() throws {
        var random = SeededRandom(seed: 4)
        let text = Array(String(repeating: "{\"kind\": \"Pod\", \"namespace\": \"default\"}\n", count: 25).utf8)
        let texts = try state((0..<2_000).map { text + Array("\($0)".utf8) })
        let plain = try chunks(texts, mayCompress: false).reduce(0) { $0 + $1.count }
        let compressed = try chunks(texts, mayCompress: true)
        #expect(compressed.reduce(0) { $0 + $1.count } < plain / 10)
        // The length, then the kind; the last chunk is the end.
        #expect(compressed.dropLast().allSatisfy { $0[4] == SnapshotChunk.compressedRows })

        let noises = try state((0..<500).map { _ in noise(5_000, &random) })
        let raw = try chunks(noises, mayCompress: false)
        let same = try chunks(noises, mayCompress: true)
        let bytes = same.reduce(0) { $0 + $1.count }
        #expect(bytes <= raw.reduce(0) { $0 + $1.count })
        #expect(same.contains { $0[4] == SnapshotChunk.rows })
    }

    @Test func `the same state gives the same chunks`() throws {
        let state = try state((0..<3_000).map { Array("value \($0 * 31)".utf8) })
        #expect(try chunks(state, mayCompress: true) == chunks(state, mayCompress: true))
    }

    @Test func `pieces may be cut anywhere`() throws {
        var random = SeededRandom(seed: 5)
        let state = try state((0..<2_000).map { Array("value \($0 * 31)".utf8) + noise(100, &random) })
        let stream = try chunks(state, mayCompress: true).flatMap { $0 }
        let engines = OneStaging()
        let sink = try begin(engines)
        var offset = 0
        while offset < stream.count {
            let end = min(stream.count, offset + random.int(1...40_000))
            try sink.write(Array(stream[offset..<end]))
            offset = end
        }
        _ = try sink.finish()
        #expect(try State(store: LayeredStore(engine: engines.engine)).revision == state.revision)
    }

    private func framed(_ payload: [UInt8]) -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: payload.count + 4)
        writer.write(UInt32(payload.count))
        writer.write(payload)
        return writer.finish()
    }

    @Test func `what a compressed chunk says of itself is not believed`() throws {
        var frame: [UInt8] = []
        let raw = [UInt8](repeating: 0, count: 10 << 20)
        #expect(raw.withUnsafeBytes { ZstandardCompressor(level: 1).compress($0, into: &frame) })
        func chunk(_ count: UInt32, _ frame: [UInt8]) -> [UInt8] {
            var writer = ByteWriter(reservingCapacity: frame.count + 5)
            writer.write(SnapshotChunk.compressedRows)
            writer.write(count)
            writer.write(frame)
            return framed(writer.finish())
        }
        let whole = UInt32(raw.count)
        for (count, bytes) in [
            (UInt32.max, frame), (UInt32(SnapshotChunk.bytesMax) + 1, frame), (5, frame), (whole - 1, frame),
            (whole, Array(frame.dropLast())), (whole, frame + [1]), (0, []), (7, [1, 2, 3]),
            // Rows that are none.
            (whole, frame),
        ] {
            let sink = try begin(OneStaging())
            #expect(throws: (any Error).self) {
                try sink.write(chunk(count, bytes))
                _ = try sink.finish()
            }
        }
        let sink = try begin(OneStaging())
        #expect(throws: (any Error).self) { try sink.write(framed([SnapshotChunk.compressedRows, 1])) }
    }

    @Test func `a chunk that was changed on the way is refused`() throws {
        let state = try state((0..<500).map { Array(repeating: UInt8($0 % 250), count: 200) })
        let stream = try chunks(state, mayCompress: true)
        var random = SeededRandom(seed: 6)
        for _ in 0..<200 {
            var damaged = stream
            let place = random.int(4...(damaged[0].count - 1))
            damaged[0][place] ^= 1 << UInt8(random.int(0...7))
            let sink = try begin(OneStaging())
            #expect(throws: (any Error).self, "at \(place)") {
                for chunk in damaged { try sink.write(chunk) }
                _ = try sink.finish()
            }
        }
    }
}
