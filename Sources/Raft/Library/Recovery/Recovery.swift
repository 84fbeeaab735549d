import Logging
import Platform
import RaftCore
import WriteAheadLog

/// Makes a new cluster's first member of what an old one's member has.
///
/// Everything hangs on one rename. Before it, nothing of the old life is touched: the new state is written beside the
/// old one under a name that a start clears away. The rename gives it the name of a recovery that is under way, with
/// which no member starts; by then it holds all there is. What follows (the old log goes, a new one is begun, the
/// directory gets a new id) can be cut off anywhere and done again from that file. The second rename makes the file
/// the origin of the new life, for which everything is ready by then.
struct Recovery: Sendable {
    var old: MemberIdentity
    var new: MemberIdentity
    /// By ascending id.
    var members: [RaftPeer]

    private var configuration: Configuration {
        Configuration(
            voters: members.filter { $0.role == .voter }.map(\.id),
            learners: members.filter { $0.role == .learner }.map(\.id))
    }

    /// What is wrong with the list of members.
    var refusal: RecoveryRefusal? {
        for (place, peer) in members.enumerated() {
            if peer.id.rawValue == 0 { return .invalidID }
            if place > 0, members[place - 1].id == peer.id { return .namedTwice(peer.id) }
            if peer.address.utf8.count > RosterCodec.addressBytesMax { return .addressTooLong(peer.id) }
        }
        guard let own = members.first(where: { $0.id == old.id }) else { return .notAmongMembers(old.id) }
        return own.role == .voter ? nil : .doesNotVote(old.id)
    }

    /// - Returns: where the new life begins.
    func run<Machine: StateMachine>(
        with box: StateBox<Machine>, in place: StoragePlace, _ logger: Logger
    ) throws -> LogIndex {
        let previous: PreviousLife<Machine>
        do {
            previous = try PreviousLife(of: box, in: place, identity: old)
        } catch WALError.foreign {
            return try indexWhereDone(in: place)
        }
        let found = previous.found
        logger.notice(
            "recovers what is here as a new cluster",
            metadata: [
                "snapshot-index": "\(found.snapshotIndex.rawValue)", "last-index": "\(found.lastIndex.rawValue)",
                "last-term": "\(found.lastTerm.rawValue)", "known-commit": "\(found.commit.rawValue)",
                "old-members": "\(found.members.map(\.id.description).joined(separator: ","))",
            ])
        let head = SnapshotHead(place: previous.nextPlace, configuration: configuration, roster: members)
        let store = SnapshotStore(directory: place.snapshots, fileSystem: place.fileSystem)
        try write(head, try previous.machine.stateSnapshot(), store)
        // From here on there is no way back.
        try beginLog(head.place, in: place)
        _ = try DirectoryRegister.make(in: place.root, place.fileSystem)
        try store.finishRecovery(head, of: old)
        logger.notice(
            "recovered",
            metadata: [
                "index": "\(head.place.index.rawValue)", "term": "\(head.place.term.rawValue)",
                "members": "\(members.map(\.id.description).joined(separator: ","))",
            ])
        return head.place.index
    }

    private func write(_ head: SnapshotHead, _ state: StateSnapshot, _ store: SnapshotStore) throws {
        do {
            try store.beginRecovery(head, state, of: old)
        } catch let error as FileError {
            throw error
        } catch {
            throw NodeFailure(part: .stateMachine, reason: "its snapshot could not be written: \(error)")
        }
    }

    /// The old log goes, and a new one begins after `place`, which is marked as the new cluster's.
    private func beginLog(_ place: AppliedPlace, in storage: StoragePlace) throws {
        let files = storage.fileSystem
        if files.exists(storage.log) {
            for name in try files.list(storage.log) { try files.removeFile("\(storage.log)/\(name)") }
            // Or else a part of the old log could come back beside the new one.
            try files.synchronizeDirectory(storage.log)
        }
        var entropy = SystemRandomNumberGenerator()
        var options = WALOptions(identity: new.bytes, salt: entropy.next())
        options.segmentBytes = storage.defaultSegmentBytes
        var log = try WriteAheadLog.open(directory: storage.log, fileSystem: files, options: options) { _, _, _ in
            throw NodeFailure(part: .log, reason: "a new log that holds something")
        }
        let base = LogPlace(index: place.index, term: place.term)
        _ = try log.append(kind: LogRecordKind.base.record, LogRecord.encode(base))
        let state = HardState(term: place.term, commit: place.index)
        _ = try log.append(kind: LogRecordKind.hardState.record, LogRecord.encode(state))
        try log.close()
    }

    /// The log is not the old cluster's. Where it is what this recovery makes, an earlier run has done it to its end.
    private func indexWhereDone(in place: StoragePlace) throws -> LogIndex {
        let made = try PreviousLife(of: StateBox(UnreadState()), in: place, identity: new)
        guard made.isNewborn, made.machine.configuration == configuration, made.machine.roster == members else {
            throw RecoveryRefusal.alreadyRecovered
        }
        return made.found.lastIndex
    }
}
