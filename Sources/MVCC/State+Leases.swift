internal import StorageEngine

/// Leases (L1 to L7). Their time is a clock of the log's own: each lease command carries what its leader's clock showed
/// when it was appended, and nothing here looks at any other clock (decision 0014).
extension State {
    /// The lease clock as of the last lease command.
    package var leaseClock: LeaseTime { row.leaseClock }

    package func lease(_ id: LeaseID) -> Lease? { leases[id] }
    package var leaseCount: Int { leases.count }
    /// All leases, in no order: nothing that shows may depend on it.
    package func forEachLease(_ body: (Lease) -> Void) { leases.forEach(body) }

    /// Applies the lease command that a log's record holds.
    package mutating func apply(
        leaseRecord record: UnsafeRawBufferPointer, at position: LogPosition, wantsAnswer: Bool = true
    ) throws(StateError) -> LeaseOutcome {
        if let failure { throw failure }
        do throws(StateError) {
            let (command, time) = try LeaseCommandCodec.decode(record)
            return try apply(command, stamped: time, at: position, wantsAnswer: wantsAnswer)
        } catch {
            failure = error
            throw error
        }
    }

    /// - Parameters:
    ///   - time: the clock of the leader that appended the command; zero if it did not know it.
    ///   - wantsAnswer: as for other commands; of a transaction's answer alone.
    package mutating func apply(
        _ command: LeaseCommand, stamped time: LeaseTime, at position: LogPosition, wantsAnswer: Bool = true
    ) throws(StateError) -> LeaseOutcome {
        if let failure { throw failure }
        checkOrder(position)
        do throws(StateError) {
            row.leaseClock = max(row.leaseClock, time)
            let result: LeaseOutcome.Result
            switch command {
            case .grant(let id, let ttl):
                if let refusal = alarms.growthRefusal {
                    result = .failed(refusal)
                } else {
                    result = grant(id, ttl: ttl)
                }
            case .revoke(let id):
                if alarms.isCorrupt {
                    result = .failed(.corruptCluster)
                } else if let lease = leases[id] {
                    try end(lease)
                    result = .revoked
                } else {
                    result = .failed(.leaseNotFound)
                }
            case .renew(let ids): result = .renewed(ids.map { renew($0) })
            case .expire(let ends, let term):
                // In a corrupt cluster nothing is deleted: what a lease holds may be all that is left of it (M5).
                if term == position.term || expiresForOlderTerms, !alarms.isCorrupt {
                    for expired in ends {
                        guard let lease = leases[expired.id] else { continue }
                        if lease.deadline == expired.deadline || expiresRenewedLeases { try end(lease) }
                    }
                }
                result = .expired(ends)
            case .tick: result = .ticked
            case .grantWith(let id, let ttl, let transaction):
                if let refusal = alarms.growthRefusal {
                    result = .failed(refusal)
                } else {
                    result = try grant(id, ttl: ttl, with: transaction, wantsAnswer: wantsAnswer)
                }
            }
            row.applied = position
            return LeaseOutcome(result, revision: row.revision)
        } catch {
            failure = error
            throw error
        }
    }

    private mutating func grant(_ id: LeaseID, ttl: Int64) -> LeaseOutcome.Result {
        // A server never asks for either; what others send must not make rows that cannot be read back.
        guard id != .none else { return .failed(.leaseNotFound) }
        guard (1...Lease.ttlMax).contains(ttl) else { return .failed(.leaseTTLTooLarge) }
        guard !leases.contains(id) else { return .failed(.leaseExists) }
        let lease = Lease(id: id, ttl: ttl, deadline: row.leaseClock.advanced(seconds: ttl))
        write(lease)
        return .granted(lease)
    }

    /// The lease has to be there while the transaction is checked and attaches keys to it; one that it leaves without
    /// any is taken back, as if it had never been.
    private mutating func grant(
        _ id: LeaseID, ttl: Int64, with transaction: Transaction, wantsAnswer: Bool
    ) throws(StateError) -> LeaseOutcome.Result {
        let granted = grant(id, ttl: ttl)
        guard case .granted(let lease) = granted else { return granted }
        let result: LeaseOutcome.Result
        var isUsed = false
        switch try apply(transaction, wantsAnswer: wantsAnswer) {
        case .transaction(let answer):
            isUsed = try LeaseRow.hasKeys(id, in: store.view)
            result = .grantedWith(isUsed ? lease : nil, answer)
        case .failed(let error): result = .failed(error)
        case .put, .delete, .compacted: preconditionFailure("a transaction was answered as another command")
        }
        if !isUsed { forget(id) }
        return result
    }

    private mutating func renew(_ id: LeaseID) -> Int64 {
        guard var lease = leases[id] else { return 0 }
        let deadline = row.leaseClock.advanced(seconds: lease.ttl)
        if deadline > lease.deadline {
            lease.deadline = deadline
            if renewsInMemoryOnly { leases.set(lease) } else { write(lease) }
        }
        return lease.ttl
    }

    private mutating func write(_ lease: Lease) {
        leases.set(lease)
        LeaseRow.withRow(of: lease) { key, value in
            // Its checksum covers the lease's id and all that is known of it.
            row.runningHash.add(.lease, UInt64(unsafe value.loadUnaligned(as: UInt32.self).littleEndian))
            unsafe store.put(.leases, key: key, value: value)
        }
    }

    /// Removes a lease and deletes its keys in their order, all at one revision (L5).
    private mutating func end(_ lease: Lease) throws(StateError) {
        let keys = try attachedKeys(lease.id)
        var writing = Writing(begin: row.revision)
        for key in leavesLeaseKeyBehind && keys.count > 1 ? keys.dropLast() : keys[...] {
            unsafe key.withUnsafeBytes { key in
                unsafe writeDeletion(key, writing.next.rawValue, writing.count)
                unsafe moveAttachment(of: key, from: lease.id.rawValue, to: 0)
            }
            writing.count += 1
            if leaseKeysInTwoRevisions, writing.begin == row.revision, writing.count * 2 >= keys.count {
                finish(writing)
                writing = Writing(begin: row.revision)
            }
        }
        finish(writing)
        forget(lease.id)
    }

    private mutating func forget(_ id: LeaseID) {
        leases.remove(id)
        row.runningHash.add(.leaseEnd, UInt64(bitPattern: id.rawValue))
        LeaseRow.withLeaseKey(id) { key in unsafe store.delete(.leases, key: key) }
    }

    /// The keys of a lease, each of which has to say so too: what is deleted here was damaged otherwise.
    private func attachedKeys(_ id: LeaseID) throws(StateError) -> [[UInt8]] {
        let keys = try LeaseRow.keys(of: id, in: store.view)
        guard !keys.isEmpty else { return [] }
        let reader = reader(at: row.revision)
        for key in keys {
            let lease = try unsafe withBytes(key) { key throws(StateError) -> Int64? in
                try unsafe reader.find(key, at: .max)?.content.lease
            }
            guard lease == id.rawValue else {
                throw .corrupt(
                    "leases: key \(unsafe withBytes(key) { unsafe hex($0) }) is attached to lease \(id.rawValue), and "
                        + "its version names \(lease.map { "\($0)" } ?? "none")")
            }
        }
        return keys
    }

    /// A key's newest version names another lease now than the one before (L7). Zero is none.
    mutating func moveAttachment(of key: UnsafeRawBufferPointer, from old: Int64, to new: Int64) {
        guard old != new else { return }
        if old != 0 {
            unsafe LeaseRow.withAttachmentKey(LeaseID(old), key) { unsafe store.delete(.leases, key: $0) }
        }
        if new != 0 {
            unsafe LeaseRow.withAttachmentKey(LeaseID(new), key) {
                unsafe store.put(.leases, key: $0, value: UnsafeRawBufferPointer(start: nil, count: 0))
            }
        }
    }
}
