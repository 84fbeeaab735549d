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
    private let engine: (any EngineCursor)?
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
        isEngineAlone = active == nil && frozen == nil && engine != nil
    }

    // MARK: Moves

    package func seek(_ key: UnsafeRawBufferPointer) -> Bool {
        if isEngineAlone, let engine { return unsafe engine.seek(key) }
        isForward = true
        unsafe setActive(active?.seek(key))
        unsafe setFrozen(frozen?.seek(key))
        unsafe setEngine(engine?.seek(key))
        return settle()
    }

    package func seekBefore(_ key: UnsafeRawBufferPointer) -> Bool {
        if isEngineAlone, let engine { return unsafe engine.seekBefore(key) }
        isForward = false
        unsafe setActive(active?.seekBefore(key))
        unsafe setFrozen(frozen?.seekBefore(key))
        unsafe setEngine(engine?.seekBefore(key))
        return settle()
    }

    package func first() -> Bool {
        if isEngineAlone, let engine { return engine.first() }
        isForward = true
        setActive(active?.first())
        setFrozen(frozen?.first())
        setEngine(engine?.first())
        return settle()
    }

    package func last() -> Bool {
        if isEngineAlone, let engine { return engine.last() }
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
