/// A place in the merged order of a view's table. Used by one thread; it keeps its view's layers alive.
///
/// Each layer has a cursor, and the merged place is the least of their keys, or the greatest on the way back; of equal
/// keys the newest layer's row counts, and where that is a tombstone the key is passed over. Layers that have no row of
/// the table take no part, so that a table at rest is walked at the engine's own speed.
@safe package final class LayeredCursor: EngineCursor {
    private enum Source {
        case none, active, frozen, engine
    }

    private var active: TreeCursor?
    private var frozen: TreeCursor?
    private var engine: (any EngineCursor)?
    /// Where the engine's cursor comes from once it is needed: many a row that is asked for was written a moment ago.
    private let snapshot: (any EngineSnapshot)?
    private let table: Table
    private let isEngineAlone: Bool

    /// The places of the layers; nil where a layer has nothing more in this direction.
    private var activeKey: UnsafeRawBufferPointer? = nil
    private var frozenKey: UnsafeRawBufferPointer? = nil
    private var engineKey: UnsafeRawBufferPointer? = nil
    private var isForward = true

    /// The layer whose row is the merged place.
    private var current = Source.none
    /// Which layers are at the current key.
    private var activeIsCurrent = false
    private var frozenIsCurrent = false
    private var engineIsCurrent = false

    /// nil for a layer without rows. Also of use to an engine that keeps some of its rows in trees.
    package init(active: TreeCursor?, frozen: TreeCursor?, engine: (any EngineCursor)?) {
        self.active = active
        self.frozen = frozen
        self.engine = engine
        snapshot = nil
        table = .meta
        isEngineAlone = active == nil && frozen == nil && engine != nil
    }

    /// The engine's own cursor is made when something is looked for there.
    init(active: TreeCursor?, frozen: TreeCursor?, snapshot: (any EngineSnapshot)?, table: Table) {
        self.active = active
        self.frozen = frozen
        isEngineAlone = active == nil && frozen == nil && snapshot != nil
        engine = isEngineAlone ? snapshot?.makeCursor(table) : nil
        self.snapshot = snapshot
        self.table = table
    }

    private func openEngine() {
        if engine == nil, let snapshot { engine = snapshot.makeCursor(table) }
    }

    // MARK: Moves

    package func seek(_ key: UnsafeRawBufferPointer) -> Bool {
        if isEngineAlone, let engine { return unsafe engine.seek(key) }
        openEngine()
        isForward = true
        unsafe setActive(active?.seek(key))
        unsafe setFrozen(frozen?.seek(key))
        unsafe setEngine(engine?.seek(key))
        return settle()
    }

    package func seekBefore(_ key: UnsafeRawBufferPointer) -> Bool {
        if isEngineAlone, let engine { return unsafe engine.seekBefore(key) }
        openEngine()
        isForward = false
        unsafe setActive(active?.seekBefore(key))
        unsafe setFrozen(frozen?.seekBefore(key))
        unsafe setEngine(engine?.seekBefore(key))
        return settle()
    }

    /// Like ``seek(_:)``, for rows that begin with the same bytes as `key`, in tables that keep a rule: among the rows
    /// with one such beginning, what was written later comes first, and nothing is written a second time. Then the
    /// first row of the newest layer that has one is the first of all, and the layers below need not be asked.
    ///
    /// False if no row from `key` on has that beginning. Only ``key`` and ``value`` can be read afterwards; to move on,
    /// seek.
    package func seekNewest(_ key: UnsafeRawBufferPointer, prefixCount: Int) -> Bool {
        let prefix = unsafe UnsafeRawBufferPointer(rebasing: key[..<prefixCount])
        if !isEngineAlone {
            unsafe activeKey = nil
            unsafe frozenKey = nil
            unsafe engineKey = nil
            (activeIsCurrent, frozenIsCurrent, engineIsCurrent) = (false, false, false)
            current = .none
            if unsafe active?.seek(key) == true, let found = unsafe active?.key, unsafe begins(found, with: prefix) {
                // It hides a row of a layer below: which one is left to the merge.
                if active?.isTombstone == true { return unsafe seek(key) && begins(self.key, with: prefix) }
                unsafe activeKey = unsafe found
                current = .active
                return true
            }
            if unsafe frozen?.seek(key) == true, let found = unsafe frozen?.key, unsafe begins(found, with: prefix) {
                if frozen?.isTombstone == true { return unsafe seek(key) && begins(self.key, with: prefix) }
                unsafe frozenKey = unsafe found
                current = .frozen
                return true
            }
            openEngine()
        }
        guard let engine, unsafe engine.seek(key), unsafe begins(engine.key, with: prefix) else { return false }
        if !isEngineAlone {
            unsafe engineKey = unsafe engine.key
            current = .engine
        }
        return true
    }

    private func begins(_ row: UnsafeRawBufferPointer, with prefix: UnsafeRawBufferPointer) -> Bool {
        guard row.count >= prefix.count else { return false }
        return unsafe keysAreEqual(UnsafeRawBufferPointer(rebasing: row[..<prefix.count]), prefix)
    }

    package func first() -> Bool {
        if isEngineAlone, let engine { return engine.first() }
        openEngine()
        isForward = true
        setActive(active?.first())
        setFrozen(frozen?.first())
        setEngine(engine?.first())
        return settle()
    }

    package func last() -> Bool {
        if isEngineAlone, let engine { return engine.last() }
        openEngine()
        isForward = false
        setActive(active?.last())
        setFrozen(frozen?.last())
        setEngine(engine?.last())
        return settle()
    }

    package func next() -> Bool {
        if isEngineAlone, let engine { return engine.next() }
        guard current != .none else { return false }
        if !isForward { turn() }
        step()
        return settle()
    }

    package func previous() -> Bool {
        if isEngineAlone, let engine { return engine.previous() }
        guard current != .none else { return false }
        if isForward { turn() }
        step()
        return settle()
    }

    /// Valid until the cursor moves.
    package var key: UnsafeRawBufferPointer {
        if isEngineAlone, let engine { return unsafe engine.key }
        guard let key = unsafe currentKey else { preconditionFailure("a cursor at no place was read") }
        return unsafe key
    }

    /// Valid until the cursor moves.
    package var value: UnsafeRawBufferPointer {
        let value: UnsafeRawBufferPointer? =
            switch current {
            case .active: unsafe active?.value
            case .frozen: unsafe frozen?.value
            case .engine: unsafe engine?.value
            case .none: unsafe isEngineAlone ? engine?.value : nil
            }
        guard let value = unsafe value else { preconditionFailure("a cursor at no place was read") }
        return unsafe value
    }

    /// Whether the row comes from one of the trees.
    package var isFromTree: Bool { current == .active || current == .frozen }

    // MARK: Merging

    private var currentKey: UnsafeRawBufferPointer? {
        switch current {
        case .active: unsafe activeKey
        case .frozen: unsafe frozenKey
        case .engine: unsafe engineKey
        case .none: nil
        }
    }

    private func setActive(_ found: Bool?) { unsafe activeKey = found == true ? active?.key : nil }
    private func setFrozen(_ found: Bool?) { unsafe frozenKey = found == true ? frozen?.key : nil }
    private func setEngine(_ found: Bool?) { unsafe engineKey = found == true ? engine?.key : nil }

    /// Moves on the layers that are at the current key.
    private func step() {
        if activeIsCurrent { setActive(isForward ? active?.next() : active?.previous()) }
        if frozenIsCurrent { setFrozen(isForward ? frozen?.next() : frozen?.previous()) }
        if engineIsCurrent { setEngine(isForward ? engine?.next() : engine?.previous()) }
    }

    /// Puts the layers that are not at the current key on its other side. Those that are hold the key's bytes
    /// meanwhile.
    private func turn() {
        guard let key = unsafe currentKey else { return }
        isForward.toggle()
        if !activeIsCurrent { unsafe setActive(isForward ? active?.seek(key) : active?.seekBefore(key)) }
        if !frozenIsCurrent { unsafe setFrozen(isForward ? frozen?.seek(key) : frozen?.seekBefore(key)) }
        if !engineIsCurrent { unsafe setEngine(isForward ? engine?.seek(key) : engine?.seekBefore(key)) }
    }

    /// Finds the merged place among the layers' places; false if nothing is left.
    private func settle() -> Bool {
        while true {
            current = .none
            activeIsCurrent = false
            frozenIsCurrent = false
            engineIsCurrent = false
            var best: UnsafeRawBufferPointer? = nil
            if let key = unsafe activeKey {
                unsafe best = unsafe key
                current = .active
                activeIsCurrent = true
            }
            if let key = unsafe frozenKey {
                let order = unsafe precedence(of: key, over: best)
                if order < 0 {
                    unsafe best = unsafe key
                    current = .frozen
                    activeIsCurrent = false
                }
                frozenIsCurrent = order <= 0
            }
            if let key = unsafe engineKey {
                let order = unsafe precedence(of: key, over: best)
                if order < 0 {
                    current = .engine
                    activeIsCurrent = false
                    frozenIsCurrent = false
                }
                engineIsCurrent = order <= 0
            }
            switch current {
            case .none: return false
            case .engine: return true
            case .active: if active?.isTombstone == false { return true }
            case .frozen: if frozen?.isTombstone == false { return true }
            }
            step()
        }
    }

    /// Less than 0 if `key` comes before `best` in the cursor's direction.
    private func precedence(of key: UnsafeRawBufferPointer, over best: UnsafeRawBufferPointer?) -> Int {
        guard let best = unsafe best else { return -1 }
        let order = unsafe compareKeys(key, best)
        return isForward ? order : -order
    }
}
