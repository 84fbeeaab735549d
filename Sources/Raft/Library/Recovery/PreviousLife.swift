import ByteCodec
import Platform
import RaftCore
import WriteAheadLog

/// All that a member's directory holds, brought together as a start does it, but for two things: the log is applied to
/// its end, not only as far as it is known to be committed; and nothing in the directory is changed.
struct PreviousLife<Machine: StateMachine> {
    let found: RecoverableState
    let machine: LibraryMachine<Machine>
    /// The state was born in its snapshot, and nothing has come since.
    let isNewborn: Bool
    /// Where the next life begins: a place that no entry of the old one has, in a term in which this member has not
    /// voted.
    let nextPlace: AppliedPlace

    /// - Throws: what a start would, and ``RecoveryRefusal/nothingToRecover``.
    init(of box: StateBox<Machine>, in place: StoragePlace, identity: MemberIdentity) throws {
        let files = ReadOnlyFileSystem(place.fileSystem)
        let store = SnapshotStore(directory: place.snapshots, fileSystem: files)
        try Self.checkRegister(place, files)

        let unfinished = try store.unfinishedRecovery()
        if let unfinished, unfinished.identity != identity { throw RaftError.foreignDirectory(place.root) }
        let snapshot = if let unfinished { unfinished.snapshot } else { try store.openIfThere() }
        // A recovery that was cut off has everything in its snapshot. What is left of the log is void.
        var log = RecoveredLog(retainAfter: snapshot?.head.place.index ?? .zero)
        if unfinished == nil, try !Self.read(&log, place, files, identity), snapshot != nil {
            // A start may take this for a member that has just been born. Whose it is cannot be seen, and a log that
            // was lost is what must not be overlooked here.
            throw SnapshotDamage(reason: "there is a snapshot, and its log is missing")
        }
        guard let snapshot else {
            if log.lastIndex == .zero { throw RecoveryRefusal.nothingToRecover }
            throw SnapshotDamage(reason: "there is a log, and its snapshot is missing")
        }

        machine = try LibraryMachine(
            box: box, store: store, found: snapshot, policy: SnapshotPolicy(entries: .max, bytes: .max),
            membershipChanged: { _, _ in }, snapshotDone: { _, _ in })
        let origin = snapshot.head.place
        _ = try log.reconcile(applied: machine.applied, origin: machine.origin)
        try Self.check(log, machine)
        for entry in log.entries { try machine.replay(entry) }

        let last = AppliedPlace(index: log.lastIndex, term: log.term(at: log.lastIndex) ?? origin.term)
        let term = max(log.hardState.term, last.term)
        found = RecoverableState(
            id: identity.id, snapshotIndex: origin.index, snapshotTerm: origin.term, lastIndex: last.index,
            lastTerm: last.term, term: term, commit: max(log.hardState.commit, origin.index), members: machine.roster,
            isRecoveryUnfinished: unfinished != nil)
        isNewborn = machine.origin == last
        nextPlace = unfinished == nil ? AppliedPlace(index: last.index.next, term: term.next) : origin
    }

    private static func checkRegister(_ place: StoragePlace, _ files: ReadOnlyFileSystem) throws {
        guard try DirectoryRegister.open(in: place.root, files) == nil else { return }
        guard try place.isEmpty(files) else {
            throw SnapshotDamage(reason: "its file \"\(DirectoryRegister.fileName)\" is missing")
        }
        throw RecoveryRefusal.nothingToRecover
    }

    /// - Returns: whether there is a log.
    private static func read(
        _ recovered: inout RecoveredLog, _ place: StoragePlace, _ files: ReadOnlyFileSystem, _ identity: MemberIdentity
    ) throws -> Bool {
        // Before its first segment has its name there is none; opening it would make one.
        guard files.exists(place.log), try files.list(place.log).contains(where: { $0.hasSuffix(".wal") }) else {
            return false
        }
        _ = try WriteAheadLog.open(
            directory: place.log, fileSystem: files, options: WALOptions(identity: identity.bytes)
        ) { kind, payload, location in
            try recovered.replay(try LogRecord(kind: kind.rawValue, payload: payload), at: location)
        }
        return true
    }

    /// What a start would not take, a recovery does not take either.
    private static func check(_ log: RecoveredLog, _ machine: LibraryMachine<Machine>) throws(NodeFailure) {
        guard let base = log.base else { return }
        var hardState = log.hardState
        hardState.commit = max(hardState.commit, machine.applied.index)
        let restored = RaftCore.Restored(
            hardState: hardState, configuration: machine.configuration, snapshotIndex: base.index,
            snapshotTerm: base.term, entries: log.summaries, applied: machine.applied.index)
        if let reason = restored.inconsistency { throw NodeFailure(part: .log, reason: reason) }
    }
}

extension LibraryMachine {
    /// Applies an entry for which nobody waits. What the state machine rejects has changed nothing, as ever.
    fileprivate func replay(_ entry: Entry) throws {
        let place = AppliedPlace(index: entry.index, term: entry.term)
        switch entry.kind {
        case .command where entry.payload.isEmpty: try skip(at: place)
        case .command:
            try entry.payload.withUnsafeBytes { payload in
                guard let command = ProposalID.command(of: payload) else {
                    throw NodeFailure(part: .log, reason: "entry \(entry.index.rawValue) is too short for a command")
                }
                _ = try apply(command, at: place, isAwaited: false)
            }
        case .configuration:
            do {
                let change = try ConfigurationChange(decoding: entry.payload)
                let context = Array(change.context.dropFirst(ProposalID.encodedBytes))
                _ = try apply(try configuration.applying(change), context: context, at: place)
            } catch {
                throw NodeFailure(
                    part: .log, reason: "entry \(entry.index.rawValue) is no change of the configuration: \(error)")
            }
        }
    }
}
