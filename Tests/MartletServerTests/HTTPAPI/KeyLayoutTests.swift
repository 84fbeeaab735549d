import MVCC
import Testing

@testable import MartletServer

/// What the HTTP API keeps in keys of its own, and which keys a prefix is.
@Suite struct KeyLayoutTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    // MARK: Notes

    @Test(arguments: [
        KeyNote(), KeyNote(contentType: "image/png"), KeyNote(ownLease: LeaseID(7)),
        KeyNote(contentType: "text/plain; charset=utf-8", ownLease: LeaseID(.max)),
    ])
    func `a note comes back as it was`(note: KeyNote) {
        #expect(KeyNote(decoding: note.encoded) == note)
        #expect(note.isEmpty == note.encoded.isEmpty)
    }

    @Test(arguments: [
        "nothing", "text/html\r\nx-evil: 1", "text/ht\u{1}ml", "text/\u{e9}", "/" + String(repeating: "a", count: 300),
        "\nlease -1", "\nlease 0", "\nlease x", "\nlease 9223372036854775808", "\nlease",
    ])
    func `what others write there is nothing`(text: String) {
        let note = KeyNote(decoding: bytes(text))
        #expect(note.ownLease == .none)
        #expect(note.contentType?.utf8.allSatisfy { (0x20...0x7e).contains($0) } ?? true)
    }

    @Test func `types that say nothing are not kept`() throws {
        func kept(_ type: String?) throws(APIError) -> String? {
            let fields = type.map { [(name: "Content-Type", value: $0)] } ?? []
            return try KeyNote.keptType(of: PlainRequest(method: "PUT", target: "/", fields: fields))
        }
        #expect(try kept(nil) == nil)
        #expect(try kept("") == nil)
        #expect(try kept("application/octet-stream") == nil)
        #expect(try kept("Application/X-WWW-Form-URLencoded; charset=utf-8") == nil)
        #expect(try kept("image/png") == "image/png")
        #expect(throws: APIError.self) { try kept("png") }
    }

    // MARK: Prefixes

    @Test func `a prefix is a range`() {
        #expect(KeyRange(prefix: bytes("ab")) == KeyRange(key: bytes("ab"), end: .upTo(bytes("ac"))))
        #expect(KeyRange(prefix: [1, 0xff, 0xff]) == KeyRange(key: [1, 0xff, 0xff], end: .upTo([2])))
        #expect(KeyRange(prefix: [0xff]) == KeyRange(key: [0xff], end: .fromKey))
        #expect(KeyRange(prefix: []) == KeyRange(key: [0], end: .fromKey))
    }

    @Test func `what is reserved is in no list that does not ask for it`() {
        let samples = ["", "\0", "_", "__", "__martlet", "__martlet/", "__martlet/x", "__martlet0", "a", "\u{7f}"]
        let keys = samples.filter { !$0.isEmpty }.map(bytes) + [[0xff], ReservedKeys.notes + bytes("k")]
        for prefix in samples.map(bytes) {
            let ranges = ReservedKeys.ranges(ofPrefix: prefix)
            for key in keys {
                let isIn = ranges.contains { $0.contains(key) }
                let wanted = key.starts(with: prefix) && (!ReservedKeys.holds(key) || ReservedKeys.holds(prefix))
                #expect(isIn == wanted, "\(key) by \(prefix)")
            }
        }
    }

    @Test func `a range goes on from a key`() {
        let range = KeyRange(prefix: bytes("ab"))
        #expect(range.from(bytes("a")) == range)
        #expect(range.from(bytes("abc")) == KeyRange(key: bytes("abc"), end: .upTo(bytes("ac"))))
        #expect(range.from(bytes("ac")) == nil)
        #expect(KeyRange(key: bytes("a"), end: .fromKey).from(bytes("x")) == KeyRange(key: bytes("x"), end: .fromKey))
    }

    // MARK: Pages

    @Test func `a page's end is told in letters that a URL bears`() {
        for key in [[0], [0xff, 0xfe, 0xfb], bytes("a/b"), bytes("längere")] as [[UInt8]] {
            let place = KeyPage.Place(revision: 0x0102_0304_0506, key: key)
            #expect(place.token.utf8.allSatisfy { "-_".utf8.contains($0) || Character(Unicode.Scalar($0)).isASCIIWord })
            #expect(KeyPage.Place(token: place.token) == place)
        }
        for wrong in ["", "x", "AAAA", "AAAAAAAAAAA", "AAAAAAAAAAAAAA", "________________", "a b", "%%%%"] {
            #expect(KeyPage.Place(token: wrong) == nil, "\(wrong)")
        }
    }

    // MARK: Leases

    @Test func `a name's prefix is a key's prefix, and nothing else's`() {
        let names = ["a", "ab", "a|b", "a%", "a%7Cb", "a%2", "|", "%", "", "/esq/node-1", "/esq/node-10"].map(bytes)
        for prefix in names where !prefix.isEmpty {
            let range = NamedLeases.range(ofPrefix: prefix)
            for name in names {
                let row = NamedLeases.dataKey(name, LeaseID(7), bytes("k"))
                #expect(range.contains(row) == name.starts(with: prefix), "\(name) by \(prefix)")
            }
        }
    }

    @Test func `a row says whose it is`() {
        for name in ["a", "a|b", "%", ""].map(bytes) {
            for key in ["k", "k|l", "|", ""].map(bytes) {
                let row = NamedLeases.dataKey(name, LeaseID(0x1f), key)
                row.withUnsafeBytes { row in
                    let parsed = NamedLeases.parse(row)
                    #expect(parsed?.id == LeaseID(0x1f))
                    #expect(parsed.map { Array($0.key) } == key)
                }
                #expect(NamedLeases.dataRange(name, LeaseID(0x1f)).contains(row))
                #expect(!NamedLeases.dataRange(name, LeaseID(0x1e)).contains(row))
            }
            // Not the row of the name itself.
            NamedLeases.nameKey(name, LeaseID(7)).withUnsafeBytes { #expect(NamedLeases.parse($0) == nil) }
        }
        for wrong in ["", "a", "a|", "a|x|k", "a|000000000000000g|k", "a|0000000000000000|k", "a|fffffffffffffff|k"] {
            (ReservedKeys.leaseNames + bytes(wrong)).withUnsafeBytes { #expect(NamedLeases.parse($0) == nil) }
        }
    }

    @Test func `new leases have ids that JavaScript's numbers hold`() {
        for _ in 0..<10_000 {
            let id = KeyOperations.newLeaseID().rawValue
            #expect((1..<(1 << 53)).contains(id))
        }
    }

    @Test(arguments: [(0, 0), (1, 1), (127, 127), (128, 127), (5, 1 << 20), (300, 70_000)])
    func `a put is as large as etcd's message of it`(key: Int, value: Int) {
        var size = 1 + max(1, (String(key, radix: 2).count + 6) / 7) + key
        if value > 0 { size += 1 + (String(value, radix: 2).count + 6) / 7 + value }
        #expect(KeyOperations.requestBytes(key: key, value: value) == size)
    }
}

extension Character {
    fileprivate var isASCIIWord: Bool { isASCII && (isLetter || isNumber) }
}
