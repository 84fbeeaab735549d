import StorageEngine
import TestSupport
import Testing

@testable import MVCC

/// Random commands on a state and on the model, with reads, flushes, restarts and steps of compaction between them.
@Suite struct ModelTests {
    private struct Run {
        var source: CommandSource
        var model = Model()
        var member: Member
        /// The same log on a member that neither flushes nor removes rows.
        var shadow: Member
        /// Term 1, indexes from 1.
        var log: [Entry] = []

        enum Entry {
            case command(Command)
            case lease(LeaseCommand, time: UInt64)
        }
        var time: UInt64 = 0
        /// Views kept, with what the model was at their time.
        var views: [(ReadView, Model)] = []

        init(seed: UInt64) throws {
            source = CommandSource(seed: seed)
            if seed % 2 == 0 { source.leasePercent = 40 }
            member = try Member()
            shadow = try Member()
        }

        mutating func apply() throws {
            let command = source.command()
            if case .transaction(let transaction) = command, source.random.chance(80) {
                // Mostly what the server lets through.
                do { try transaction.validate() } catch { return }
            }
            log.append(.command(command))
            let expected = model.apply(command)
            let outcome = source.random.chance(50) ? try member.apply(command) : try member.applyEncoded(command)
            #expect(outcome == expected, "\(command)")
            _ = try shadow.applyEncoded(command, wantsAnswer: false)
            #expect(shadow.state.revision == member.state.revision)
            #expect(shadow.state.runningHash == member.state.runningHash)
            source.revision = model.revision
        }

        mutating func applyLease() throws {
            let ends = model.leases.values.map { LeaseEnd($0.id, deadline: $0.deadline) }.sorted { $0.id < $1.id }
            let command = source.leaseCommand(leases: ends, term: 1)
            time += UInt64(source.random.int(0...2_000))
            // Now and then one that its leader could not stamp, or whose leader's clock was behind.
            let stamp = source.random.chance(80) ? time : time / UInt64(source.random.int(1...3)) % 5_000
            log.append(.lease(command, time: stamp))
            let expected = model.apply(command, stamped: stamp, term: 1)
            let outcome = try member.apply(command, at: stamp, encoded: source.random.chance(50))
            #expect(outcome == expected, "\(command)")
            _ = try shadow.apply(command, at: stamp)
            source.revision = model.revision
        }

        mutating func compareLeases() throws {
            let view = try member.state.view
            #expect(try view.leases == model.leases.values.sorted { $0.id < $1.id })
            #expect(view.leaseClock == LeaseTime(model.leaseClock))
            for id in (-4...4).map({ LeaseID(Int64($0)) }) where id != .none {
                #expect(try view.keys(of: id) == model.keys(of: id))
                #expect(try view.lease(id) == model.leases[id])
                #expect(member.state.lease(id) == model.leases[id])
            }
        }

        mutating func read() throws {
            let query = source.query()
            let (view, then) =
                source.random.chance(70) || views.isEmpty
                ? (try member.state.view, model) : source.random.pick(views)
            let expected = then.range(query, current: then.revision, compact: then.compactRevision)
            let found = try view.result(query)
            #expect(found == expected, "\(query)")
        }

        mutating func keepView() throws {
            if views.count == 3 { views.removeFirst() }
            views.append((try member.state.view, model))
        }

        /// The power goes: what the engine has comes back, and the log's rest is applied again.
        mutating func restart() throws {
            var next = try member.reopened()
            try next.state.check()
            for index in Int(next.state.applied.index)..<log.count {
                switch log[index] {
                case .command(let command): _ = try next.apply(command)
                case .lease(let command, let time): _ = try next.apply(command, at: time)
                }
            }
            try next.state.check()
            #expect(next.state.revision == member.state.revision)
            #expect(next.state.compactRevision == member.state.compactRevision)
            #expect(next.state.applied == member.state.applied)
            #expect(try next.state.view.hash() == member.state.view.hash())
            #expect(next.state.runningHash == member.state.runningHash)
            member = next
            views = []
            try compareLeases()
        }

        mutating func compareHashes() throws {
            let low = max(1, model.compactRevision)
            let at = Revision(Int64.random(in: low...model.revision, using: &source.random))
            #expect(try member.state.view.hash(at: at) == shadow.state.view.hash(at: at))
        }

        mutating func step() throws {
            switch source.random.int(0...99) {
            case 0...34: try apply()
            case 35...44: try applyLease()
            case 45...71: try read()
            case 72...74: try compareLeases()
            case 75...79: try keepView()
            case 80...87: try member.flushStep()
            case 88...94: _ = try member.state.compactStep(maxRows: source.random.int(1...6))
            case 95...97: try compareHashes()
            default: try restart()
            }
        }

        mutating func end() throws {
            try member.compactAll()
            #expect(member.rows(.versions) == model.rowsAfterCompaction)
            #expect(member.rows(.revisions) == model.rowsAfterCompaction)
            #expect(try member.state.view.hash() == shadow.state.view.hash())
            #expect(try member.state.view.hash().hash == member.rowsChecksum())
            try member.flushAll()
            try restart()
            #expect(member.rows(.versions) == model.rowsAfterCompaction)
            for revision in max(1, model.compactRevision)...model.revision {
                var query = RangeQuery(KeyRange(key: [0], end: .fromKey))
                query.revision = Revision(revision)
                #expect(
                    try member.state.view.result(query)
                        == model.range(query, current: model.revision, compact: model.compactRevision))
            }
        }
    }

    @Test(arguments: 0..<16) func `a state answers as the model does, whatever goes on beside it`(part: UInt64) throws {
        for seed in part * 125..<(part + 1) * 125 {
            var run = try Run(seed: seed)
            for _ in 0..<(seed % 10 == 0 ? 200 : 50) { try run.step() }
            try run.end()
        }
    }

    @Test func `the front refuses the transactions that the rule refuses`() throws {
        var source = CommandSource(seed: 77)
        var refused = 0
        for _ in 0..<20_000 {
            let transaction = source.transaction()
            var error: RequestError?
            do throws(RequestError) { try transaction.validate(maxOperations: 4) } catch let thrown { error = thrown }
            #expect(error == Rule.error(transaction, maxOperations: 4))
            if error == .duplicateKey { refused += 1 }
        }
        #expect(refused > 100)
    }
}

/// The rule for a transaction's form, by sets of keys instead of intervals.
private enum Rule {
    static func error(_ transaction: Transaction, maxOperations: Int) -> RequestError? {
        if let error = form(transaction, maxOperations) { return error }
        return writes(transaction.success) == nil || writes(transaction.failure) == nil ? .duplicateKey : nil
    }

    private static func form(_ transaction: Transaction, _ maxOperations: Int) -> RequestError? {
        let count = [transaction.comparisons.count, transaction.success.count, transaction.failure.count].max()!
        if count > maxOperations { return .tooManyOperations }
        for operation in transaction.success + transaction.failure {
            switch operation {
            case .range(let query):
                if query.sortOrder == .unrecognized || query.sortTarget == .unrecognized { return .invalidSortOption }
            case .put(let put):
                if put.ignoreValue, !put.value.isEmpty { return .valueProvided }
                if put.ignoreLease, put.lease != .none { return .leaseProvided }
            case .delete: break
            case .transaction(let nested):
                if let error = form(nested, maxOperations - count) { return error }
            case .empty: return .keyNotFound
            }
        }
        return nil
    }

    /// Keys put and keys deleted, of the keys that the source makes; nil where they collide.
    private static func writes(_ operations: [Operation]) -> (puts: Set<[UInt8]>, deletes: Set<[UInt8]>)? {
        var puts: Set<[UInt8]> = []
        var deletes: Set<[UInt8]> = []
        for case .delete(let delete) in operations where delete.range.end != .fromKey {
            deletes.formUnion(CommandSource.keys.filter { Model.contains(delete.range, $0) })
        }
        for case .transaction(let nested) in operations {
            guard let then = writes(nested.success), let otherwise = writes(nested.failure) else { return nil }
            let both = then.puts.union(otherwise.puts)
            if !both.isDisjoint(with: puts) || !both.isDisjoint(with: deletes) { return nil }
            puts.formUnion(both)
            deletes.formUnion(then.deletes.union(otherwise.deletes))
        }
        for case .put(let put) in operations {
            if deletes.contains(put.key) || !puts.insert(put.key).inserted { return nil }
        }
        return (puts, deletes)
    }
}
