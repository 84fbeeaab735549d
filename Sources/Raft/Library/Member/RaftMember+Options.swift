import Logging
import RaftCore
import Synchronization

extension RaftMember {
    /// Changes options while the member runs.
    ///
    ///     try await member.changeOptions { options in
    ///         options.snapshotEntries = 50_000
    ///         options.maxPendingRequests = 10_000
    ///     }
    ///
    /// All of it or nothing: when this returns, every request that begins afterwards meets the new options, and
    /// ``options`` has them; when it throws, nothing has changed. What concerns the time should be the same on all
    /// members, which takes as many calls as there are members. Meanwhile no answer is wrong, whatever the options; for
    /// no needless election, lengthen ``RaftOptions/electionTimeout`` everywhere before
    /// ``RaftOptions/heartbeatInterval``, and shorten them in the other order.
    ///
    /// They are this object's: give the same ones to the next one that starts with the directory.
    ///
    /// - Parameter body: gets the options as they are. It is called once more where another change came between, and
    ///   should do nothing else.
    /// - Throws: ``RaftError/optionIsFixed(_:)``, ``RaftError/invalidOptions(_:)``, ``RaftError/notRunning``.
    public func changeOptions(_ body: (inout RaftOptions) -> Void) async throws(RaftError) {
        let running = try requireRunning()
        while true {
            let (old, version) = settings.withLock { ($0.value, $0.version) }
            var new = old
            body(&new)
            if let fixed = new.fixedOption(comparedWith: old) { throw .optionIsFixed(fixed) }
            if let reason = new.inconsistency ?? stageOptions(new, running).inconsistency(
                replacing: stageOptions(old, running))
            {
                throw .invalidOptions(reason)
            }
            let isNewest = settings.withLock { settings in
                guard settings.version == version else { return false }
                settings.value = new
                settings.version += 1
                snapshotPolicy.change(entries: new.snapshotEntries, bytes: new.snapshotBytes)
                return true
            }
            guard isNewest else { continue }
            // Also where nobody waits any more: what is in force is one thing for all.
            let told = await Task { () -> Result<Void, RaftError> in
                do throws(RaftError) { return .success(try await self.tell(running)) } catch { return .failure(error) }
            }.value
            try told.get()
            logger.info("options changed")
            return
        }
    }

    private func stageOptions(_ options: RaftOptions, _ running: Running) -> NodeOptions {
        let start = running.node.options
        return options.nodeOptions(id: id, randomSeed: start.randomSeed, firstSequence: start.firstSequence)
    }

    /// Tells the stages of the newest options: under the lock, so that they come in the order in which they were made.
    private func tell(_ running: Running) async throws(RaftError) {
        let conclusion: OptionsConclusion
        do throws(RaftError) {
            conclusion = try await optionChanges.ask { ticket in
                settings.withLock { running.node.change(stageOptions($0.value, running), ticket: ticket) }
            }
        } catch {
            throw await explained(error)
        }
        if case .refused(let reason) = conclusion { throw .invalidOptions(reason) }
    }
}

/// An option that a member cannot change while it runs (``RaftMember/changeOptions(_:)``).
public enum FixedOption: String, Hashable, Sendable {
    /// What the log is marked with, and what members show each other.
    case clusterName
    /// What a leader may rest its reads on has to be known to those who vote.
    case readMode
    case segmentBytes
    /// Fixed where reads are by lease: a lease is so many of these.
    case heartbeatInterval
    /// Fixed where reads are by lease: so long nobody votes for another leader, as every member has promised.
    case electionTimeout

    /// How it can be changed.
    public var remedy: String {
        switch self {
        case .clusterName: "a cluster keeps its name; only a recovery (RaftMember.recover) gives another one"
        case .readMode: "stop all members, and start them with the other mode"
        case .segmentBytes: "stop this member, and start it again with the other size"
        case .heartbeatInterval, .electionTimeout:
            "while reads are by lease, others rely on it: stop all members, and start them with the other time"
        }
    }
}

extension FixedOption: CustomStringConvertible {
    public var description: String { "\(rawValue) does not change while a member runs: \(remedy)" }
}

extension RaftOptions {
    /// The first one in which these differ from others that are in force, and must not.
    func fixedOption(comparedWith old: RaftOptions) -> FixedOption? {
        if clusterName != old.clusterName { return .clusterName }
        if readMode != old.readMode { return .readMode }
        if segmentBytes != old.segmentBytes { return .segmentBytes }
        // The core counts a lease in ticks, which are heartbeats: both make it.
        guard readMode == .lease else { return nil }
        if heartbeatInterval != old.heartbeatInterval { return .heartbeatInterval }
        if electionTimeout != old.electionTimeout { return .electionTimeout }
        return nil
    }
}
