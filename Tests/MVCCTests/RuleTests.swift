import StorageEngine
import Testing

@testable import MVCC

/// etcd's semantics one by one. The names are those of the project's table of rules for the API; what they say was seen
/// on etcd 3.5.1 and 3.6.14.
@Suite struct RuleTests {
    private var member: Member

    init() throws { member = try Member() }

    /// a has version 3, b 2, c and d 1; the revision is 8.
    private mutating func fill() throws {
        for key in ["a", "b", "c", "d"] { _ = try member.apply(put(key, "v1")) }
        _ = try member.apply(put("a", "v2"))
        _ = try member.apply(put("a", "v3"))
        _ = try member.apply(put("b", "v2"))
    }

    private func read(_ query: RangeQuery) throws -> RangeAnswer { try member.state.view.range(query) }

    private mutating func transact(
        _ comparisons: [Comparison] = [], _ success: [Operation] = [], _ failure: [Operation] = []
    ) throws -> Outcome {
        try member.apply(.transaction(Transaction(comparisons: comparisons, success: success, failure: failure)))
    }

    // MARK: Ranges

    @Test func `K1: no end is one key, the byte zero is every key from the first`() throws {
        #expect(KeyRange(key: [1], rangeEnd: []) == KeyRange(key: [1], end: .single))
        #expect(KeyRange(key: [1], rangeEnd: [0]) == KeyRange(key: [1], end: .fromKey))
        #expect(KeyRange(key: [1], rangeEnd: [0, 0]) == KeyRange(key: [1], end: .upTo([0, 0])))
        for end in [[], [0], [2], [0, 0]] as [[UInt8]] {
            #expect(KeyRange(key: [1], rangeEnd: end).rangeEnd == end)
        }
    }

    @Test mutating func `K1: single keys, prefixes, from a key, and the whole store`() throws {
        for key in ["a", "a\0", "aa", "ab", "b", "\0"] { _ = try member.apply(put(key)) }
        #expect(try read(query("a")).keys == ["a"])
        #expect(try read(query("a", to: "b")).keys == ["a", "a\0", "aa", "ab"])
        #expect(try read(query("aa", to: "\0")).keys == ["aa", "ab", "b"])
        #expect(try read(query("\0", to: "\0")).keys == ["\0", "a", "a\0", "aa", "ab", "b"])
        #expect(try read(query("m", to: "a")).keys == [])
        #expect(try read(query("m", to: "a")).count == 0)
    }

    @Test func `K2: an empty key is refused in every operation and comparison`() {
        let empty = KeyRange(key: [], end: .fromKey)
        #expect(throws: RequestError.keyNotProvided) { try RangeQuery(empty).validate() }
        #expect(throws: RequestError.keyNotProvided) { try PutOperation(key: [], value: [1]).validate() }
        #expect(throws: RequestError.keyNotProvided) { try DeleteOperation(empty).validate() }
        #expect(throws: RequestError.keyNotProvided) {
            try Transaction(comparisons: [Comparison(empty, .equal, .version(0))]).validate()
        }
    }

    @Test mutating func `K3: a limit sets more, and none is no limit`() throws {
        try fill()
        for (limit, count, more) in [(0, 4, false), (-1, 4, false), (3, 3, true), (4, 4, false), (9, 4, false)] {
            var query = query("a", to: "z")
            query.limit = Int64(limit)
            let answer = try read(query)
            #expect(answer.keyValues.count == count)
            #expect(answer.more == more)
            #expect(answer.count == 4)
        }
    }

    @Test mutating func `K3: an order or a filter reads everything before it cuts, a target alone cuts first`() throws {
        try fill()
        var query = query("a", to: "z")
        query.limit = 2
        query.sortTarget = .version
        query.sortOrder = .ascending
        #expect(try read(query).keys == ["c", "d"])
        // a, b and one more are read, then sorted, then cut (seen on 3.5.1).
        query.sortOrder = .none
        #expect(try read(query).keys == ["c", "b"])
        #expect(try read(query).more)
        query.sortTarget = .key
        query.minModRevision = Revision(4)
        query.maxModRevision = Revision(5)
        #expect(try read(query).keys == ["c", "d"])
        #expect(try read(query).more == false)
    }

    @Test mutating func `K4: the count ignores limit and filters, and count only has no pairs`() throws {
        try fill()
        var query = query("a", to: "z")
        query.limit = 1
        query.maxModRevision = Revision(-1)
        #expect(try read(query) == RangeAnswer(revision: Revision(8), keyValues: [], more: false, count: 4))
        query.countOnly = true
        #expect(try read(query) == RangeAnswer(revision: Revision(8), keyValues: [], more: false, count: 4))
    }

    @Test(arguments: [
        (SortTarget.key, "abcd", "dcba"), (.version, "cdba", "abcd"), (.createRevision, "abcd", "dcba"),
        (.modRevision, "cdab", "badc"), (.value, "cdba", "abcd"),
    ])
    mutating func `K5: sorts by any target, in both directions`(target: SortTarget, up: String, down: String) throws {
        try fill()
        var query = query("a", to: "z")
        query.sortTarget = target
        for order in [SortOrder.none, .ascending] {
            query.sortOrder = order
            #expect(try read(query).keys.joined() == up)
        }
        query.sortOrder = .descending
        #expect(try read(query).keys.joined() == down)
        query.limit = 1
        #expect(try read(query).keys.joined() == down.prefix(1))
        query.keysOnly = true
        #expect(try read(query).keys.joined() == down.prefix(1))
        #expect(try read(query).values == [""])
    }

    @Test func `K5: an unknown order or target is refused`() throws {
        var query = query("a")
        query.sortOrder = .unrecognized
        #expect(throws: RequestError.invalidSortOption) { try query.validate() }
        #expect(throws: ReadError.request(.invalidSortOption)) { try read(query) }
        query.sortOrder = .none
        query.sortTarget = .unrecognized
        #expect(throws: RequestError.invalidSortOption) { try query.validate() }
    }

    @Test mutating func `K6: bounds on revisions are inclusive, and zero is none`() throws {
        try fill()
        func keys(_ set: (inout RangeQuery) -> Void) throws -> String {
            var query = query("a", to: "z")
            set(&query)
            return try read(query).keys.joined()
        }
        #expect(try keys { $0.minModRevision = Revision(5) } == "abd")
        #expect(try keys { $0.maxModRevision = Revision(5) } == "cd")
        #expect(try keys { $0.minCreateRevision = Revision(3) } == "bcd")
        #expect(try keys { $0.maxCreateRevision = Revision(3) } == "ab")
        #expect(try keys { $0.minModRevision = Revision(-4) } == "abcd")
    }

    @Test mutating func `K7: an old revision is read as it was, under the current revision`() throws {
        try fill()
        _ = try member.apply(delete("a"))
        #expect(try read(query("a", at: 2)).values == ["v1"])
        #expect(try read(query("a", at: 6)).values == ["v2"])
        #expect(try read(query("a", at: 8)).values == ["v3"])
        #expect(try read(query("a", at: 9)).values == [])
        #expect(try read(query("a", to: "z", at: 3)).keys == ["a", "b"])
        #expect(try read(query("a", at: 2)).revision == Revision(9))
        #expect(try read(query("b", at: -7)).values == ["v2"])
        #expect(throws: ReadError.request(.futureRevision)) { try read(query("a", at: 10)) }
        _ = try member.apply(.compact(Compaction(revision: Revision(6))))
        #expect(throws: ReadError.request(.compacted)) { try read(query("a", at: 5)) }
        #expect(try read(query("a", at: 6)).values == ["v2"])
    }

    @Test mutating func `K9: keys only has no values`() throws {
        try fill()
        var query = query("a", to: "c")
        query.keysOnly = true
        let answer = try read(query)
        #expect(answer.values == ["", ""])
        #expect(answer.keyValues[0].version == 3)
        #expect(answer.keyValues[0].createRevision == Revision(2))
    }

    // MARK: Puts and deletes

    @Test mutating func `K10: what a put ignores must not be given, and must be there`() throws {
        let key = bytes("k")
        #expect(throws: RequestError.valueProvided) {
            try PutOperation(key: key, value: [1], ignoreValue: true).validate()
        }
        #expect(throws: RequestError.leaseProvided) {
            try PutOperation(key: key, value: [], lease: LeaseID(1), ignoreLease: true).validate()
        }
        let keepsValue = Command.put(PutOperation(key: key, value: [], ignoreValue: true))
        let keepsLease = Command.put(PutOperation(key: key, value: bytes("w"), ignoreLease: true))
        #expect(try member.apply(keepsValue) == Outcome(.failed(.keyNotFound), revision: Revision(1)))
        #expect(try member.apply(keepsLease) == Outcome(.failed(.keyNotFound), revision: Revision(1)))
        _ = try member.apply(put("k", "v"))
        #expect(try member.apply(keepsValue).revision == Revision(3))
        #expect(try read(query("k")).values == ["v"])
        #expect(try read(query("k")).keyValues[0].version == 2)
        _ = try member.apply(keepsLease)
        #expect(try read(query("k")).values == ["w"])
    }

    @Test mutating func `K10: a put with a lease that does not exist is refused, before its key is looked for`() throws
    {
        let put = PutOperation(key: bytes("k"), value: [], lease: LeaseID(5), ignoreValue: true)
        #expect(try member.apply(.put(put)).error == .leaseNotFound)
        #expect(try transact([], [.put(put)]).error == .leaseNotFound)
        #expect(member.state.revision == Revision(1))
    }

    @Test mutating func `K11: puts and deletes answer with the pairs before them, if asked`() throws {
        #expect(try member.apply(put("a", "1", prevKV: true)).put?.previous == nil)
        #expect(try member.apply(put("a", "2")).put?.previous == nil)
        let previous = try member.apply(put("a", "3", prevKV: true)).put?.previous
        #expect(previous?.value == bytes("2"))
        #expect(previous?.version == 2)
        #expect(previous?.modRevision == Revision(3))
        _ = try member.apply(put("b", "4"))
        let deletion = try member.apply(delete("a", to: "z", prevKV: true)).deletion
        #expect(deletion?.previous.map(\.value) == [bytes("3"), bytes("4")])
        #expect(deletion?.deleted == 2)
    }

    @Test mutating func `K12: the revision starts at 1 and grows by one with each command that changes something`()
        throws
    {
        #expect(member.state.revision == Revision(1))
        #expect(try member.apply(put("a")).revision == Revision(2))
        #expect(try member.apply(delete("zz")).revision == Revision(2))
        #expect(try member.apply(delete("zz")).deletion == DeleteAnswer(revision: Revision(2), deleted: 0))
        let three = [put("x"), put("y"), put("z")].map { command -> MVCC.Operation in
            guard case .put(let put) = command else { fatalError("not a put") }
            return .put(put)
        }
        #expect(try transact([], three).revision == Revision(3))
        #expect(try transact([], []).revision == Revision(3))
        #expect(try member.apply(delete("x", to: "\0")).revision == Revision(4))
    }

    @Test mutating func `K13: a deleted key begins anew`() throws {
        for command in [put("a"), put("a"), delete("a"), put("a")] { _ = try member.apply(command) }
        let pair = try read(query("a")).keyValues[0]
        #expect(pair.version == 1)
        #expect(pair.createRevision == Revision(5))
    }

    // MARK: Transactions

    private static let readA = MVCC.Operation.range(query("a"))

    @Test func `K14: the longest list counts, and what is nested gets the rest`() throws {
        let three = Array(repeating: Self.readA, count: 3)
        try Transaction(success: three).validate(maxOperations: 3)
        #expect(throws: RequestError.tooManyOperations) {
            try Transaction(success: three + [Self.readA], failure: three).validate(maxOperations: 3)
        }
        #expect(throws: RequestError.tooManyOperations) {
            try Transaction(
                comparisons: Array(repeating: Comparison(KeyRange(key: [1]), .equal, .version(0)), count: 4)
            ).validate(maxOperations: 3)
        }
        let nested = Transaction(success: [.transaction(Transaction(success: three))])
        try nested.validate(maxOperations: 4)
        #expect(throws: RequestError.tooManyOperations) { try nested.validate(maxOperations: 3) }
    }

    @Test func `K14: nesting is bounded whatever the limit on operations`() throws {
        var transaction = Transaction()
        for _ in 1..<Transaction.depthMax { transaction = Transaction(success: [.transaction(transaction)]) }
        try transaction.validate(maxOperations: 10_000)
        _ = try CommandCodec.decode(CommandCodec.encode(.transaction(transaction)))
        transaction = Transaction(success: [.transaction(transaction)])
        #expect(throws: RequestError.tooManyOperations) { try transaction.validate(maxOperations: 10_000) }
    }

    private static func putting(_ key: String) -> MVCC.Operation { .put(PutOperation(key: bytes(key), value: [])) }
    private static func deleting(_ key: String, to end: String = "") -> MVCC.Operation {
        .delete(DeleteOperation(KeyRange(key: bytes(key), rangeEnd: bytes(end))))
    }
    private static func nesting(_ success: [MVCC.Operation], _ failure: [MVCC.Operation] = []) -> MVCC.Operation {
        .transaction(Transaction(success: success, failure: failure))
    }

    @Test(
        arguments: [
            ([putting("a"), putting("b")], nil),
            ([putting("a"), putting("a")], .duplicateKey),
            ([putting("a"), deleting("a")], .duplicateKey),
            ([deleting("a", to: "c"), putting("b")], .duplicateKey),
            ([deleting("a", to: "c"), putting("c")], nil),
            ([deleting("a"), deleting("a"), deleting("a", to: "c")], nil),
            ([nesting([putting("a")], [putting("a")])], nil),
            ([nesting([putting("a")]), putting("a")], .duplicateKey),
            ([nesting([putting("a")]), nesting([putting("a")])], .duplicateKey),
            ([nesting([nesting([putting("a")], [putting("a")])])], nil),
            ([nesting([putting("a")], [deleting("a")])], nil),
            ([nesting([deleting("a")]), putting("a")], .duplicateKey),
            ([nesting([putting("a")]), nesting([deleting("a")])], nil),
            ([nesting([deleting("a")]), nesting([putting("a")])], .duplicateKey),
            // etcd does not see that a delete without an end meets a put.
            ([deleting("a", to: "\0"), putting("b")], nil),
        ] as [([MVCC.Operation], RequestError?)])
    func `K15: a key is put once, and not put and deleted, but may be deleted twice`(
        operations: [MVCC.Operation], error: RequestError?
    ) {
        for transaction in [Transaction(success: operations), Transaction(failure: operations)] {
            if let error {
                #expect(throws: error) { try transaction.validate() }
            } else {
                #expect(throws: Never.self) { try transaction.validate() }
            }
        }
    }

    @Test func `K16: an operation that says nothing is a key not found`() {
        #expect(throws: RequestError.keyNotFound) { try Transaction(success: [.empty]).validate() }
        #expect(throws: RequestError.keyNotFound) { try Transaction(failure: [.empty]).validate() }
    }

    @Test mutating func `K17: operations see those before them, and answer with the revision they made`() throws {
        let answer = try transact(
            [], [Self.readA, Self.putting("a"), Self.readA, Self.deleting("a"), Self.deleting("a"), Self.readA]
        ).transaction!
        let revisions = answer.answers.map { answer -> Int64 in
            switch answer {
            case .range(let range): range.revision.rawValue
            case .put(let put): put.revision.rawValue
            case .delete(let delete): delete.revision.rawValue
            case .transaction, .empty: -1
            }
        }
        #expect(revisions == [1, 2, 2, 2, 2, 2])
        let counts = answer.answers.compactMap { answer -> Int64? in
            switch answer {
            case .range(let range): range.count
            case .delete(let delete): delete.deleted
            default: nil
            }
        }
        #expect(counts == [0, 1, 1, 0, 0])
    }

    @Test mutating func `K17: a nested transaction compares with the state before the outermost, its header is empty`()
        throws
    {
        let wasPut = Comparison(KeyRange(key: bytes("a")), .greater, .version(0))
        let answer = try transact(
            [],
            [Self.putting("a"), .transaction(Transaction(comparisons: [wasPut], success: [], failure: [Self.readA]))]
        ).transaction!
        guard case .transaction(let nested) = answer.answers[1], case .range(let range) = nested.answers[0] else {
            Issue.record("not the answers asked for: \(answer)")
            return
        }
        #expect(nested.revision == nil)
        #expect(nested.succeeded == false)
        #expect(range.count == 1)
        #expect(answer.revision == Revision(2))
    }

    @Test(arguments: [
        (Comparison.Operand.version(0), true), (.createRevision(0), true), (.modRevision(0), true), (.lease(0), true),
        (.version(1), false), (.value([]), false),
    ])
    mutating func `K18: a missing key has zeros, and no value`(operand: Comparison.Operand, holds: Bool) throws {
        for range in [KeyRange(key: bytes("no")), KeyRange(key: bytes("no"), rangeEnd: bytes("np"))] {
            #expect(try transact([Comparison(range, .equal, operand)]).transaction?.succeeded == holds)
            if case .value = operand {
                #expect(try transact([Comparison(range, .notEqual, operand)]).transaction?.succeeded == false)
            }
        }
    }

    @Test mutating func `K18: every key of a range must hold, and all comparisons`() throws {
        try fill()
        let all = KeyRange(key: bytes("a"), rangeEnd: bytes("z"))
        func holds(_ comparisons: Comparison...) throws -> Bool? {
            try member.state.view.evaluate(Transaction(comparisons: comparisons)).succeeded
        }
        #expect(try holds(Comparison(all, .greater, .version(0))) == true)
        #expect(try holds(Comparison(all, .greater, .version(1))) == false)
        #expect(try holds(Comparison(all, .less, .value(bytes("v4")))) == true)
        #expect(try holds(Comparison(all, .notEqual, .modRevision(7))) == false)
        #expect(try holds(Comparison(all, .equal, .lease(0)), Comparison(all, .less, .createRevision(6))) == true)
        #expect(try holds(Comparison(all, .equal, .lease(0)), Comparison(all, .less, .createRevision(5))) == false)
        #expect(try holds() == true)
        #expect(try holds(Comparison(all, .unrecognized, .version(99))) == true)
        #expect(try holds(Comparison(all, .equal, .unrecognized)) == true)
        #expect(try holds(Comparison(all, .less, .unrecognized)) == false)
    }

    @Test mutating func `K19: a transaction that only reads needs no log`() throws {
        try fill()
        let reading = Transaction(success: [Self.readA, Self.nesting([Self.readA], [Self.readA])])
        #expect(reading.isReadOnly)
        #expect(!Transaction(failure: [Self.nesting([], [Self.putting("a")])]).isReadOnly)
        let inLog = try member.apply(.transaction(reading)).transaction
        #expect(try member.state.view.evaluate(reading) == inLog)
        var local = query("a")
        local.isSerializable = true
        #expect(Transaction(success: [.range(local)]).isSerializable)
        #expect(!Transaction(success: [.range(local)], failure: [Self.readA]).isSerializable)
        #expect(!Transaction().isSerializable)
    }

    @Test mutating func `K20: a transaction that would fail changes nothing`() throws {
        try fill()
        _ = try member.apply(.compact(Compaction(revision: Revision(5))))
        let before = try member.state.view.hash()
        let failing: [(MVCC.Operation, RequestError)] = [
            (.range(query("a", at: 9)), .futureRevision), (.range(query("a", at: 4)), .compacted),
            (.range(query("a", at: -1)), .compacted),
            (.put(PutOperation(key: bytes("no"), value: [], ignoreValue: true)), .keyNotFound),
            (.put(PutOperation(key: bytes("no"), value: [], ignoreLease: true)), .keyNotFound),
            (.put(PutOperation(key: bytes("a"), value: [], lease: LeaseID(7))), .leaseNotFound),
        ]
        for (operation, error) in failing {
            let outcome = try transact([], [Self.putting("new"), Self.nesting([operation]), Self.deleting("a")])
            #expect(outcome == Outcome(.failed(error), revision: Revision(8)))
            // The branch that is not taken is not looked at.
            #expect(try transact([], [], [operation]).error == nil)
        }
        #expect(try member.state.view.hash() == before)
    }

    @Test mutating func `K20: a put that keeps what the transaction deletes before it does not find its key`() throws {
        try fill()
        let keep = MVCC.Operation.put(PutOperation(key: bytes("c"), value: [], ignoreValue: true))
        #expect(try transact([], [Self.deleting("b", to: "\0"), keep]).error == .keyNotFound)
        #expect(try transact([], [keep, Self.deleting("b", to: "\0")]).error == nil)
        #expect(try read(query("a", to: "z")).keys == ["a"])
    }

    @Test mutating func `K23: a transaction that changed nothing has the revision before it`() throws {
        try fill()
        let never = Comparison(KeyRange(key: bytes("a")), .equal, .version(0))
        #expect(try transact([never], [Self.putting("a")], [Self.readA]).transaction?.revision == Revision(8))
        #expect(try transact([], [Self.deleting("zz")]).transaction?.revision == Revision(8))
        #expect(try transact([], [Self.putting("a")]).transaction?.revision == Revision(9))
    }

    @Test mutating func `a put that a delete of all keys came before in the same transaction stays`() throws {
        try fill()
        let answer = try transact([], [Self.deleting("c", to: "\0"), Self.putting("d"), .range(query("a", to: "z"))])
        guard case .range(let range) = answer.transaction?.answers[2] else {
            Issue.record("not the answers asked for: \(answer)")
            return
        }
        #expect(range.keys == ["a", "b", "d"])
        #expect(range.keyValues[2].createRevision == Revision(9))
        #expect(range.keyValues[2].version == 1)
    }

    // MARK: Compaction and hash

    @Test mutating func `K21: a compaction must be new and not in the future`() throws {
        try fill()
        func compact(_ revision: Int64) throws -> RequestError? {
            try member.apply(.compact(Compaction(revision: Revision(revision)))).error
        }
        #expect(try compact(-1) == .compacted)
        // Before the first compaction even this one is new (seen on 3.5.1).
        #expect(try compact(0) == nil)
        #expect(try compact(0) == .compacted)
        #expect(try compact(9) == .futureRevision)
        #expect(try compact(5) == nil)
        #expect(try compact(5) == .compacted)
        #expect(try compact(4) == .compacted)
        #expect(try compact(8) == nil)
        #expect(member.state.revision == Revision(8))
    }

    @Test mutating func `M7: the hash says up to where it is and what was compacted`() throws {
        try fill()
        let never = try member.state.view.hash()
        #expect(never.compactRevision == Revision(-1))
        #expect(never.hashRevision == Revision(8))
        #expect(try member.state.view.hash(at: Revision(8)) == never)
        #expect(try member.state.view.hash(at: Revision(7)).hash != never.hash)
        _ = try member.apply(.compact(Compaction(revision: Revision(4))))
        #expect(try member.state.view.hash().compactRevision == Revision(4))
        #expect(throws: ReadError.request(.compacted)) { try member.state.view.hash(at: Revision(3)) }
        #expect(throws: ReadError.request(.futureRevision)) { try member.state.view.hash(at: Revision(9)) }
    }

    @Test mutating func `a member that compacted less computes what one computes that compacted more`() throws {
        var other = try Member()
        for key in ["a", "b", "a", "c", "b", "a"] {
            _ = try member.apply(put(key))
            _ = try other.apply(put(key))
        }
        _ = try member.apply(delete("c"))
        _ = try other.apply(delete("c"))
        _ = try other.apply(.compact(Compaction(revision: Revision(6))))
        try other.compactAll()
        let theirs = try other.state.view.hash(at: Revision(7))
        #expect(try member.state.view.hash(at: Revision(7)).hash != theirs.hash)
        var scan = try member.state.view.hashScan(at: Revision(7), compactedAt: Revision(6))
        #expect(try scan.step(maxRows: 100) == theirs)
        #expect(throws: RequestError.compacted) {
            try member.state.view.hashScan(at: Revision(5), compactedAt: Revision(6))
        }
    }

    @Test(arguments: RequestError.allCases) func `errors have etcd's texts and codes`(error: RequestError) {
        #expect(error.message.hasPrefix("etcdserver: "))
        #expect([3, 5, 8, 9, 11, 15].contains(error.grpcCode))
    }
}
