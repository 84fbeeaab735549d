extension RaftCore {
    /// Why a change cannot be taken into the log now; nil if it can.
    ///
    /// One change at a time may be in the log and not applied. So the configuration that this one will be applied to is
    /// known, and whether it can be.
    func refusal(of payload: [UInt8], _ leader: borrowing LeaderState) -> String? {
        let change: ConfigurationChange
        do {
            change = try ConfigurationChange(decoding: payload)
        } catch {
            return "not a configuration change: \(error.reason)"
        }
        guard options.validatesConfigurationChanges else { return nil }
        if leader.pendingConfigurationIndex > applied {
            return "possible unapplied conf change at index \(leader.pendingConfigurationIndex.rawValue) "
                + "(applied to \(applied.rawValue))"
        }
        if configuration.isJoint, !change.changes.isEmpty { return "must transition out of joint config first" }
        if !configuration.isJoint, change.changes.isEmpty {
            return "not in joint state; refusing empty conf change"
        }
        do {
            _ = try ConfigurationChanger.apply(change, to: configuration)
        } catch {
            return error.reason
        }
        return nil
    }

    mutating func onConfigurationApplied(
        _ change: ConfigurationChange, at index: LogIndex?, into effects: inout Effects
    ) {
        if let index {
            // Overtaken by a snapshot, which contains it.
            guard index > configurationIndex else { return }
            configurationIndex = index
        }
        // A member that joins learns the configuration by a snapshot. Without one, a change would make something up:
        // adding this very node would make it its own majority.
        guard !configuration.voters.isEmpty else {
            effects.emit(.trace(.configurationRefused("no configuration to change")))
            return
        }
        let changer: ConfigurationChanger
        do {
            changer = try ConfigurationChanger.apply(change, to: configuration)
        } catch {
            // It was not validated when it was proposed. All members come to the same result here, so nobody falls out
            // of step: it is as if it had not been proposed.
            effects.emit(.trace(.configurationRefused(error.reason)))
            return
        }
        configuration = changer.configuration
        effects.emit(.trace(.configurationChanged(configuration)))
        guard var leader = takeLeadership() else { return }
        leader.reconcile(with: configuration, fresh: changer.fresh, lastIndex: trail.lastIndex, limits: options)
        // Its quorum may not be today's.
        leader.reads.forgetLease()

        let isFit = configuration.contains(options.id) && !configuration.learners.contains(options.id)
        if !isFit {
            role = .leader(leader)
            // "The leader steps down (returns to follower state) once it has committed the C_new log entry" (§6).
            if options.stepsDownOnRemoval { becomeFollower(in: term, of: nil, into: &effects) }
            return
        }
        if advanceCommit(&leader) {
            releasePostponedReads(&leader, into: &effects)
            broadcastAppend(&leader, into: &effects)
        } else {
            // New members need not wait for a heartbeat.
            for place in leader.peers.indices where leader.peers[place].id != options.id {
                sendAppend(to: place, evenIfEmpty: false, &leader, into: &effects)
            }
        }
        if let transferee = leader.transferee, !configuration.isVoter(transferee) { leader.transferee = nil }
        // A smaller quorum may have answered already.
        advanceReads(&leader, into: &effects)
        role = .leader(leader)
    }

    mutating func onApplied(_ index: LogIndex, into effects: inout Effects) {
        precondition(
            index <= released, "applied \(index.rawValue), given out only up to \(released.rawValue)")
        let before = applied
        if index > applied { applied = index }
        guard var leader = takeLeadership() else { return }
        defer { role = .leader(leader) }
        if before < applied {
            let from = max(before, trail.snapshotIndex)
            let bytes = trail.bytes(from: from.next, to: applied.next)
            leader.uncommittedBytes -= min(bytes, leader.uncommittedBytes)
        }
        // The joint configuration is left as soon as it is in force. If a transfer prevents it now, it is tried again
        // with the next entry applied; if the transfer succeeds, the new leader does it.
        if configuration.leavesAutomatically, applied >= leader.pendingConfigurationIndex,
            leader.transferee == nil, leader.slot(of: options.id) != nil
        {
            leader.pendingConfigurationIndex = trail.lastIndex.next
            append(
                [Proposal(kind: .configuration, payload: ConfigurationChange(changes: []).encode())], &leader,
                into: &effects)
            broadcastAppend(&leader, into: &effects)
        }
    }
}
