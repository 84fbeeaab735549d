/// What a client did and what it was told, with the times between which it must have happened.
package struct HistoryOperation: Sendable {
    package var client: Int
    package var action: KeyValueAction
    /// What came back; nil when nothing is known: it may have happened at any later time, or never.
    package var outcome: KeyValueOutcome?
    package var called: UInt64
    package var returned: UInt64?
    /// The store's revision that the answer carried.
    package var revision: Int64?

    package init(
        client: Int, action: KeyValueAction, outcome: KeyValueOutcome?, called: UInt64, returned: UInt64?
    ) {
        self.client = client
        self.action = action
        self.outcome = outcome
        self.called = called
        self.returned = returned
    }
}

extension HistoryOperation {
    var isWrite: Bool {
        switch (action, outcome) {
        case (.write, .done), (.compareAndWrite, .compared(true)): true
        default: false
        }
    }
}

/// The operations of the workloads, on numbered keys that hold numbers; 0 stands for a key that is not there.
package enum KeyValueAction: Hashable, Sendable {
    case read(keys: [Int])
    case write(key: Int, value: Int)
    /// If `key` holds `expected`, all of `writes` happen.
    case compareAndWrite(key: Int, expected: Int, writes: [KeyedValue])

    package var keys: [Int] {
        switch self {
        case .read(let keys): keys
        case .write(let key, _): [key]
        case .compareAndWrite(let key, _, let writes): [key] + writes.map(\.key)
        }
    }
}

package struct KeyedValue: Hashable, Sendable {
    package var key: Int
    package var value: Int

    package init(key: Int, value: Int) {
        self.key = key
        self.value = value
    }
}

package enum KeyValueOutcome: Hashable, Sendable {
    case values([Int])
    case done
    case compared(Bool)
}

/// Decides whether a history could have happened one operation at a time (Herlihy and Wing). Histories are split by
/// groups of keys that no operation crosses.
///
/// An order that somebody claims is tried first: whether it is one takes one walk through the history, and a search can
/// take for ever where many operations overlap or have an unknown end. Who claims it need not be trusted. Where none is
/// claimed, or what is claimed is wrong, the order is searched for, after Wing and Gong with Lowe's memory of what was
/// tried.
package enum LinearizabilityChecker {
    package struct Violation: Error, CustomStringConvertible {
        package var keys: [Int]
        package var operations: [HistoryOperation]
        package var longestPrefix: Int

        package var description: String {
            let lines = operations.map { operation in
                "  client \(operation.client) [\(operation.called), \(operation.returned.map(String.init) ?? "?")] "
                    + "\(operation.action) -> \(operation.outcome.map { "\($0)" } ?? "unknown")"
            }
            return
                "not linearizable on keys \(keys): at most \(longestPrefix) of \(operations.count) operations can be "
                + "put in order\n" + lines.joined(separator: "\n")
        }
    }

    package enum Verdict: Sendable {
        case linearizable
        /// The search was given up: too many orders were possible.
        case undecided
    }

    /// - Parameters:
    ///   - group: the group that a key belongs to.
    ///   - place: where in the order the operation is said to be: a write at a place of its own, what does not write
    ///     at the place of the last write that it saw. nil: it is said to have had no effect; of an operation with an
    ///     answer, that nothing is said.
    ///   - statesMax: how many states are remembered for one group before the search is given up.
    package static func check(
        _ history: [HistoryOperation], group: (Int) -> Int, place: (HistoryOperation) -> Int64? = { _ in nil },
        statesMax: Int = 100_000
    ) throws(Violation) -> Verdict {
        var verdict = Verdict.linearizable
        var groups: [(name: Int, operations: [HistoryOperation])] = []
        for operation in history {
            guard let first = operation.action.keys.first else { continue }
            // A read without an answer says nothing.
            if operation.outcome == nil, case .read = operation.action { continue }
            let name = group(first)
            precondition(operation.action.keys.allSatisfy { group($0) == name }, "an operation across groups")
            if let place = groups.firstIndex(where: { $0.name == name }) {
                groups[place].operations.append(operation)
            } else {
                groups.append((name, [operation]))
            }
        }
        for (_, operations) in groups {
            if isOrder(operations, place: place) { continue }
            if try check(operations, statesMax: statesMax) == .undecided { verdict = .undecided }
        }
        return verdict
    }

    /// Whether the operations can have happened in the order of the places that are claimed for them: each answers what
    /// it would there, and none comes after one that was called when it had returned.
    private static func isOrder(_ operations: [HistoryOperation], place: (HistoryOperation) -> Int64?) -> Bool {
        var order: [(place: Int64, isWrite: Bool, operation: HistoryOperation)] = []
        order.reserveCapacity(operations.count)
        for operation in operations {
            guard let place = place(operation) else {
                if operation.outcome == nil { continue }
                return false
            }
            order.append((place, operation.isWrite || operation.outcome == nil, operation))
        }
        order.sort {
            ($0.place, $0.isWrite ? 0 : 1, $0.operation.called) < ($1.place, $1.isWrite ? 0 : 1, $1.operation.called)
        }
        var state: [Int: Int] = [:]
        var latestCall: UInt64 = 0
        for (_, _, operation) in order {
            if operation.outcome != nil, let returned = operation.returned, returned < latestCall { return false }
            latestCall = max(latestCall, operation.called)
            switch operation.action {
            case .read(let keys):
                guard operation.outcome == .values(keys.map { state[$0] ?? 0 }) else { return false }
            case .write(let key, let value):
                state[key] = value
            case .compareAndWrite(let key, let expected, let writes):
                let holds = (state[key] ?? 0) == expected
                if let outcome = operation.outcome, outcome != .compared(holds) { return false }
                if holds { for write in writes { state[write.key] = write.value } }
            }
        }
        return true
    }

    private static func check(_ operations: [HistoryOperation], statesMax: Int) throws(Violation) -> Verdict {
        let keys = Array(Set(operations.flatMap(\.action.keys))).sorted()
        var search = Search(operations: operations, keys: keys)
        guard let isLinearizable = search.run(statesMax: statesMax) else { return .undecided }
        guard isLinearizable else {
            throw Violation(keys: keys, operations: operations, longestPrefix: search.longestPrefix)
        }
        return .linearizable
    }

    private struct Remembered: Hashable {
        var done: [UInt64]
        var state: [Int]
    }

    /// Calls and returns in the order of time, as a linked list from which operations are taken and put back.
    private struct Search {
        private struct Node {
            var operation: Int
            var isReturn: Bool
            var next = -1
            var previous = -1
            /// A call's return.
            var match = -1
        }

        private let operations: [HistoryOperation]
        private let keys: [Int]
        private var nodes: [Node] = []
        private(set) var longestPrefix = 0

        init(operations: [HistoryOperation], keys: [Int]) {
            self.operations = operations
            self.keys = keys
            var events: [(time: UInt64, isReturn: Bool, operation: Int)] = []
            for (number, operation) in operations.enumerated() {
                events.append((operation.called, false, number))
                events.append((operation.outcome == nil ? .max : operation.returned ?? .max, true, number))
            }
            // At one instant calls come before returns: that the two overlapped cannot be excluded.
            events.sort { ($0.time, $0.isReturn ? 1 : 0, $0.operation) < ($1.time, $1.isReturn ? 1 : 0, $1.operation) }
            nodes = [Node(operation: -1, isReturn: false)]
            var callOf = [Int](repeating: -1, count: operations.count)
            for event in events {
                let place = nodes.count
                nodes.append(Node(operation: event.operation, isReturn: event.isReturn, previous: place - 1))
                nodes[place - 1].next = place
                if event.isReturn {
                    nodes[callOf[event.operation]].match = place
                } else {
                    callOf[event.operation] = place
                }
            }
        }

        private func apply(_ operation: HistoryOperation, to state: [Int]) -> [Int]? {
            func place(_ key: Int) -> Int { keys.firstIndex(of: key)! }
            switch operation.action {
            case .read(let keys):
                guard let outcome = operation.outcome else { return state }
                return outcome == .values(keys.map { state[place($0)] }) ? state : nil
            case .write(let key, let value):
                var after = state
                after[place(key)] = value
                return after
            case .compareAndWrite(let key, let expected, let writes):
                let holds = state[place(key)] == expected
                if let outcome = operation.outcome, outcome != .compared(holds) { return nil }
                guard holds else { return state }
                var after = state
                for write in writes { after[place(write.key)] = write.value }
                return after
            }
        }

        private mutating func lift(_ call: Int) {
            let node = nodes[call]
            nodes[node.previous].next = node.next
            nodes[node.next].previous = node.previous
            let match = nodes[node.match]
            nodes[match.previous].next = match.next
            if match.next >= 0 { nodes[match.next].previous = match.previous }
        }

        private mutating func unlift(_ call: Int) {
            let node = nodes[call]
            let match = nodes[node.match]
            nodes[match.previous].next = node.match
            if match.next >= 0 { nodes[match.next].previous = node.match }
            nodes[node.previous].next = call
            nodes[node.next].previous = call
        }

        /// nil if it was given up.
        mutating func run(statesMax: Int) -> Bool? {
            var state = [Int](repeating: 0, count: keys.count)
            var done = [UInt64](repeating: 0, count: (operations.count + 63) / 64)
            var remembered: Set<Remembered> = []
            var taken: [(call: Int, before: [Int])] = []
            var known = operations.count { $0.outcome != nil }
            var place = nodes[0].next
            while known > 0 {
                if place < 0 { return false }
                let node = nodes[place]
                if !node.isReturn {
                    let operation = operations[node.operation]
                    if let after = apply(operation, to: state) {
                        done[node.operation / 64] |= 1 << UInt64(node.operation % 64)
                        if remembered.count >= statesMax { return nil }
                        if remembered.insert(Remembered(done: done, state: after)).inserted {
                            taken.append((place, state))
                            state = after
                            if operation.outcome != nil { known -= 1 }
                            lift(place)
                            longestPrefix = max(longestPrefix, taken.count)
                            place = nodes[0].next
                            continue
                        }
                        done[node.operation / 64] &= ~(1 << UInt64(node.operation % 64))
                    }
                    place = node.next
                } else if operations[node.operation].outcome == nil {
                    // Nothing that is known is left to order before the end of time.
                    return false
                } else {
                    // An operation that has returned must have been taken by now: go back.
                    guard let last = taken.popLast() else { return false }
                    state = last.before
                    let number = nodes[last.call].operation
                    done[number / 64] &= ~(1 << UInt64(number % 64))
                    if operations[number].outcome != nil { known += 1 }
                    unlift(last.call)
                    place = nodes[last.call].next
                }
            }
            return true
        }
    }
}
