import MVCC
import Replica
import Testing

@testable import MartletServer

/// Riot's buckets: their names and paths, and what they come to in the state machine.
@Suite struct RiotBucketTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func bucket(_ name: String) throws(APIError) -> RiotBucket { try RiotBucket(bytes(name)) }

    // MARK: Names and paths

    @Test(arguments: ["a", "student", "ü", "a b", "%", "a|b", "key", "...", "-", String(repeating: "x", count: 255)])
    func `a name that can be written in a path is a bucket's`(name: String) throws {
        let bucket = try bucket(name)
        let path = "/riot/bucket/" + PercentCoding.encode(bytes(name))
        #expect(try BucketPath(path) == .bucket(bucket))
        for key in ["lusi", "a/b", "/", "key/key", "%", "ü"] {
            let written = path + "/key/" + PercentCoding.encode(bytes(key))
            #expect(try BucketPath(written) == .key(bytes(key), bucket), "\(written)")
        }
        #expect(try BucketPath(path + "/key/%00%FF") == .key([0, 0xff], bucket))
    }

    @Test(arguments: [
        "", "/", "a/b", "a/", "a\n", "\0", "\u{7f}", ".", "..", String(repeating: "x", count: 256),
        String(repeating: "é", count: 128),
    ])
    func `any other name is refused, and why is said`(name: String) {
        let error = #expect(throws: APIError.self) { try bucket(name) }
        #expect(error?.status == 400)
        #expect(error.map { !$0.message.isEmpty } == true)
        guard !name.isEmpty else { return }
        let escaped = name.utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(throws: APIError.self) { try BucketPath("/riot/bucket/" + escaped + "/key/a") }
    }

    @Test func `a name is text`() {
        for wrong in [[0xff], [0x61, 0x80], [0xed, 0xa0, 0x80]] as [[UInt8]] {
            #expect(throws: APIError.self) { try RiotBucket(wrong) }
        }
    }

    @Test func `other paths are none`() throws {
        #expect(try BucketPath("/riot/bucket/") == .all)
        for (path, status) in [
            ("student/", 404), ("student/key", 404), ("student/keys/a", 404), ("student/kez/a", 404),
            ("student/key/", 400), ("/key/a", 400), ("%", 400), ("student/key/%g1", 400), ("%ff", 400),
        ] {
            let error = #expect(throws: APIError.self, "\(path)") { try BucketPath("/riot/bucket/" + path) }
            #expect(error?.status == status, "\(path)")
        }
    }

    // MARK: Layout

    @Test func `no bucket's keys are among another one's, and none are in a list of keys`() throws {
        let names = ["a", "ab", "a|", "a0", "a-", "A", "a.", "ü", "key", "bucket"]
        for name in names {
            let mine = try bucket(name)
            for other in names {
                let other = try bucket(other)
                for key in ["k", "k/l", "/", "\u{ff}"] {
                    #expect(mine.keys.contains(other.key(bytes(key))) == (mine == other))
                }
                #expect(!mine.keys.contains(other.place))
            }
            #expect(ReservedKeys.holds(mine.place))
            #expect(ReservedKeys.holds(mine.key([0])))
        }
        let student = try bucket("student")
        #expect(student.place == bytes("__martlet/riot/bucket/student"))
        #expect(student.key(bytes("lusi")) == bytes("__martlet/riot/key/student/lusi"))
    }

    // MARK: In the state machine

    /// What a transaction came to: whether it succeeded, and by how many revisions the store moved.
    private func apply(
        _ transaction: Transaction, to fixture: MachineFixture
    ) throws -> (succeeded: Bool, moved: Int64) {
        let before = try fixture.view.store.revision
        let record = CommandCodec.encode(.transaction(transaction))
        guard case .keyValue(let outcome) = try fixture.apply(.keyValue, record),
            case .transaction(let answer) = outcome.result
        else {
            Issue.record("no transaction's answer")
            return (false, 0)
        }
        return (answer.succeeded, try fixture.view.store.revision.rawValue - before.rawValue)
    }

    @Test func `a bucket is made once, and nothing is put where there is none`() throws {
        let fixture = try MachineFixture(members: 1)
        let student = try bucket("student")
        let key = student.key(bytes("lusi"))
        #expect(try apply(student.setting(bytes("lusi"), to: [1]), to: fixture) == (false, 0))
        #expect(try fixture.view.store.pair(key) == nil)
        #expect(try !student.isThere(in: fixture.view.store))
        #expect(try apply(student.creation, to: fixture) == (true, 1))
        #expect(try apply(student.creation, to: fixture) == (false, 0))
        #expect(try student.isThere(in: fixture.view.store))
        #expect(try apply(student.setting(bytes("lusi"), to: [1]), to: fixture) == (true, 1))
        #expect(try fixture.view.store.pair(key)?.value == [1])
        // Made again, it has what it had.
        #expect(try apply(student.creation, to: fixture).succeeded == false)
        #expect(try fixture.view.store.pair(key)?.value == [1])
        #expect(try apply(student.removal(of: bytes("lusi")), to: fixture).moved == 1)
        #expect(try apply(student.removal(of: bytes("lusi")), to: fixture).moved == 0)
        #expect(try fixture.view.store.pair(key) == nil)
    }

    @Test func `all of a bucket goes at one revision, and nothing of others`() throws {
        let fixture = try MachineFixture(members: 1)
        let names = ["student", "studen", "student0", "student-"]
        for name in names {
            let bucket = try bucket(name)
            _ = try apply(bucket.creation, to: fixture)
            for number in 0..<300 { _ = try apply(bucket.setting(bytes("k/\(number)"), to: [7]), to: fixture) }
        }
        let student = try bucket("student")
        #expect(try apply(student.deletion, to: fixture) == (true, 1))
        #expect(try apply(student.deletion, to: fixture) == (false, 0))
        #expect(try !student.isThere(in: fixture.view.store))
        #expect(try counted(student, in: fixture).keys == 0)
        for name in names.dropFirst() {
            #expect(try bucket(name).isThere(in: fixture.view.store))
            #expect(try counted(bucket(name), in: fixture).keys == 300)
        }
        #expect(try apply(student.setting([0], to: [1]), to: fixture) == (false, 0))
    }

    // MARK: Counting

    private func counted(
        _ bucket: RiotBucket, in fixture: MachineFixture, keysMax: Int64 = .max, pieceMax: Int = 100
    ) throws -> (keys: Int64, bytes: Int64, steps: Int) {
        var count = BucketCount(of: bucket, in: try fixture.view.store, keysMax: keysMax, pieceMax: pieceMax)
        var steps = 0
        while !count.isDone {
            try count.step()
            steps += 1
        }
        return (count.keys, count.bytes, steps)
    }

    @Test func `keys are counted piece by piece, as of one moment`() throws {
        let fixture = try MachineFixture(members: 1)
        let student = try bucket("student")
        _ = try apply(student.creation, to: fixture)
        #expect(try counted(student, in: fixture) == (0, 0, 1))
        for number in 100..<120 { _ = try apply(student.setting(bytes("\(number)"), to: [1, 2]), to: fixture) }
        for (pieceMax, steps) in [(100, 1), (21, 1), (20, 1), (19, 2), (7, 3), (1, 20)] {
            #expect(try counted(student, in: fixture, pieceMax: pieceMax) == (20, 100, steps), "\(pieceMax)")
        }
        // More than are of interest: one more is enough to know.
        #expect(try counted(student, in: fixture, keysMax: 20, pieceMax: 7).keys == 20)
        #expect(try counted(student, in: fixture, keysMax: 19, pieceMax: 7).keys == 20)
        #expect(try counted(student, in: fixture, keysMax: 8, pieceMax: 7).keys == 9)
        #expect(try counted(student, in: fixture, keysMax: 0, pieceMax: 7).keys == 1)
        // What happens meanwhile is not of that moment.
        var count = BucketCount(of: student, in: try fixture.view.store, pieceMax: 7)
        try count.step()
        _ = try apply(student.deletion, to: fixture)
        while !count.isDone { try count.step() }
        #expect(count.keys == 20)
    }
}
