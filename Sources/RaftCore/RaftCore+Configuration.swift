extension RaftCore {
    /// Why a change cannot be taken into the log now; nil if it can.
    ///
    /// One change at a time may be in the log and not applied. So the configuration that this one will be applied to is
    /// known, and whether it can be.
    func refusal(of payload: [UInt8], _ leader: borrowing LeaderState) -> ConfigurationRefusal? {
        let change: ConfigurationChange
        do {
            change = try ConfigurationChange(decoding: payload)
        } catch {
            return .undecodable(error.reason)
        }
        guard options.validatesConfigurationChanges else { return nil }
        if leader.pendingConfigurationIndex > applied, !takesChangesTooEarly {
            return .pending(at: leader.pendingConfigurationIndex, applied: applied)
        }
        if configuration.isJoint, !change.changes.isEmpty { return .isJoint }
        if !configuration.isJoint, change.changes.isEmpty { return .isNotJoint }
        let changed: Configuration
        do {
            changed = try ConfigurationChanger.apply(change, to: configuration).configuration
        } catch {
            return error
        }
        let unknown = strangers(in: change)
        if options.refusesUnknownMembers, !unknown.isEmpty { return .unknownMembers(unknown) }
        let behind = options.promotesOnlyCaughtUp ? laggards(promotedBy: change, leader) : []
        if !behind.isEmpty { return .notCaughtUp(behind) }
        if options.refusesQuorumLoss, !change.changes.isEmpty { return quorumLoss(by: changed, leader) }
        return nil
    }

    /// Those that the change removes or updates, and that are neither members nor made so by it.
    private func strangers(in change: ConfigurationChange) -> [NodeID] {
        var added: [NodeID] = []
        var unknown: [NodeID] = []
        for step in change.changes where step.node.rawValue != 0 {
            switch step.kind {
            case .addVoter, .addLearner: added.append(step.node)
            case .remove, .update:
                if !configuration.contains(step.node), !added.contains(step.node) { unknown.insertSorted(step.node) }
            }
        }
        return unknown
    }

    /// Learners that the change makes voters, and that hold less than nine tenths of what this leader holds durably. By
    /// indexes, as etcd's server measures it (`readyPercentThreshold`).
    private func laggards(
        promotedBy change: ConfigurationChange, _ leader: borrowing LeaderState
    ) -> [NodeID] {
        let own = leader.slot(of: options.id).map { leader.peers[$0].match } ?? trail.lastIndex
        let least = LogIndex(own.rawValue - own.rawValue / 10)
        var behind: [NodeID] = []
        for step in change.changes where step.kind == .addVoter && configuration.learners.contains(step.node) {
            guard let place = leader.slot(of: step.node), leader.peers[place].match >= least else {
                behind.insertSorted(step.node)
                continue
            }
        }
        return behind
    }

    /// Whether `changed` could decide nothing, as far as this leader knows who is there.
    private func quorumLoss(
        by changed: Configuration, _ leader: borrowing LeaderState
    ) -> ConfigurationRefusal? {
        var silent: [NodeID] = []
        for place in leader.peers.indices where !isPresent(leader.peers[place]) {
            silent.append(leader.peers[place].id)
        }
        // What was lost before is not lost by the change: then it may even be what helps.
        func decides(_ configuration: Configuration) -> Bool {
            JointQuorum(configuration).outcome { !silent.contains($0) } == .won
        }
        guard decides(configuration), !decides(changed) else { return nil }
        return .losesQuorum(silent: silent.filter(changed.isVoter))
    }

    /// Whether that member was heard of within an election timeout.
    func isPresent(_ peer: borrowing Progress) -> Bool {
        peer.id == options.id || now - peer.heardAt <= UInt64(options.electionTicks)
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
            effects.emit(.trace(.configurationRefused(error.description)))
            return
        }
        configuration = changer.configuration
        effects.emit(.trace(.configurationChanged(configuration)))
        guard var leader = takeLeadership() else { return }
        leader.reconcile(
            with: configuration, fresh: changer.fresh, lastIndex: trail.lastIndex, now: now, limits: options)
        // Its quorum may not be today's.
        leader.reads.forgetLease()

        if let transferee = leader.transferee, !configuration.isVoter(transferee) {
            endTransfer(.targetRemoved, &leader, into: &effects)
        }
        if configuration.isVoter(options.id) {
            handoverAfter = nil
            for place in leader.peers.indices { leader.peers[place].toldOfHandover = nil }
        } else {
            switch options.whenVoteIsLost {
            case .handsOver: if handoverAfter == nil { handoverAfter = index ?? commit }
            case .stepsDown:
                role = .leader(leader)
                becomeFollower(in: term, of: nil, into: &effects)
                return
            case .leads:
                role = .leader(leader)
                return
            }
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
        // Those who are left need not wait for a heartbeat to hear that they are among themselves.
        if handoverAfter != nil { heartbeatOnTick(&leader, into: &effects) }
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
