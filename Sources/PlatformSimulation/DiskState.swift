import Platform

/// All that a ``SimulatedDisk`` holds: a tree of nodes in which every change is remembered until it is durable.
struct DiskState: Sendable {
    /// A change of a file's bytes that no successful synchronize has covered yet.
    enum Change: Sendable {
        case write(offset: Int, bytes: [UInt8])
        case zeros(offset: Int, count: Int)
        case truncate(Int)
    }

    struct Node: Sendable {
        var isDirectory: Bool
        /// What callers see, and what a power cut leaves. Only looked up by name, or sorted; never walked in hash
        /// order.
        var children: [String: Int] = [:]
        var durableChildren: [String: Int] = [:]
        /// What callers read, and what is on the platters.
        var content: [UInt8] = []
        var durable: [UInt8] = []
        var unsynced: [Change] = []
        var handles = 0
    }

    /// One create, rename or removal: all of its links change, or none.
    struct EntryChange: Sendable {
        /// A nil node removes the name.
        var links: [(directory: Int, name: String, node: Int?)]
    }

    var nodes = [Node(isDirectory: true)]
    var entryChanges: [EntryChange] = []
    /// Handles from before a crash or a kill are dead.
    var generation = 0
    var locks: [String] = []
    var usedBytes = 0
    var random: RandomSource
    var model: CrashModel
    var plan = FaultPlan()
    var isPowered = true
    var changingCalls = 0
    var synchronizeCalls = 0
    /// Calls that failed by the plan: a fault, the power, or no space.
    var failedCalls = 0

    init(seed: UInt64, model: CrashModel) {
        random = RandomSource(seed: seed)
        self.model = model
    }

    // MARK: Faults

    private func failure(_ operation: String, _ path: String, _ errno: Int32) -> FileError {
        FileError(operation: operation, path: path, errno: errno, reason: SimulatedErrno.reason(errno))
    }

    /// Counts a call against the plan, and fails it if its turn has come.
    private mutating func admit(_ kind: FaultPlan.Operation, _ name: String, _ path: String) throws(FileError) {
        if kind != .read {
            if let left = plan.powerCutAfter {
                if left == 0 { isPowered = false } else { plan.powerCutAfter = left - 1 }
            }
            changingCalls += 1
        }
        guard isPowered else {
            failedCalls += 1
            throw FileError(operation: name, path: path, errno: SimulatedErrno.io, reason: "the power is off")
        }
        var failing: Int32?
        for index in plan.faults.indices where plan.faults[index].operation == kind {
            guard path.hasSuffix(plan.faults[index].pathSuffix) || plan.faults[index].pathSuffix.isEmpty else {
                continue
            }
            plan.faults[index].occurrence -= 1
            if plan.faults[index].occurrence == 0 { failing = plan.faults[index].errno }
        }
        if let failing {
            failedCalls += 1
            throw failure(name, path, failing)
        }
    }

    // MARK: Names

    private func components(_ path: String) -> [String] { path.split(separator: "/").map(String.init) }

    func node(at path: String) -> Int? {
        var current = 0
        for name in components(path) where name != "." {
            guard let next = nodes[current].children[name] else { return nil }
            current = next
        }
        return current
    }

    private func parent(of path: String, _ operation: String) throws(FileError) -> (directory: Int, name: String) {
        let parts = components(path)
        guard let name = parts.last else { throw failure(operation, path, SimulatedErrno.invalid) }
        guard let directory = node(at: parts.dropLast().joined(separator: "/")) else {
            throw failure(operation, path, SimulatedErrno.noEntry)
        }
        guard nodes[directory].isDirectory else { throw failure(operation, path, SimulatedErrno.notDirectory) }
        return (directory, name)
    }

    private mutating func change(_ links: [(directory: Int, name: String, node: Int?)]) {
        for link in links { nodes[link.directory].children[link.name] = link.node }
        entryChanges.append(EntryChange(links: links))
    }

    mutating func open(_ path: String, _ mode: OpenMode) throws(FileError) -> Int {
        let (directory, name) = try parent(of: path, "open")
        let existing = nodes[directory].children[name]
        if case .create = mode {
            try admit(.create, "open", path)
            guard existing == nil else { throw failure("open", path, SimulatedErrno.exists) }
            nodes.append(Node(isDirectory: false))
            change([(directory, name, nodes.count - 1)])
            nodes[nodes.count - 1].handles = 1
            return nodes.count - 1
        }
        guard isPowered else { throw failure("open", path, SimulatedErrno.io) }
        guard let existing else { throw failure("open", path, SimulatedErrno.noEntry) }
        guard !nodes[existing].isDirectory else { throw failure("open", path, SimulatedErrno.isDirectory) }
        nodes[existing].handles += 1
        return existing
    }

    func list(_ path: String) throws(FileError) -> [String] {
        guard isPowered else { throw failure("opendir", path, SimulatedErrno.io) }
        guard let directory = node(at: path) else { throw failure("opendir", path, SimulatedErrno.noEntry) }
        guard nodes[directory].isDirectory else { throw failure("opendir", path, SimulatedErrno.notDirectory) }
        return nodes[directory].children.keys.sorted()
    }

    mutating func createDirectory(_ path: String) throws(FileError) {
        var current = 0
        for name in components(path) where name != "." {
            if let next = nodes[current].children[name] {
                guard nodes[next].isDirectory else { throw failure("mkdir", path, SimulatedErrno.notDirectory) }
                current = next
                continue
            }
            try admit(.create, "mkdir", path)
            nodes.append(Node(isDirectory: true))
            let made = nodes.count - 1
            nodes[current].children[name] = made
            nodes[current].durableChildren[name] = made
            current = made
        }
    }

    mutating func rename(_ old: String, to new: String) throws(FileError) {
        try admit(.rename, "rename", old)
        let (oldDirectory, oldName) = try parent(of: old, "rename")
        let (newDirectory, newName) = try parent(of: new, "rename")
        guard let moved = nodes[oldDirectory].children[oldName] else {
            throw failure("rename", old, SimulatedErrno.noEntry)
        }
        if oldDirectory == newDirectory, oldName == newName { return }
        if let replaced = nodes[newDirectory].children[newName] {
            let isEmpty = nodes[replaced].children.isEmpty
            guard nodes[replaced].isDirectory == nodes[moved].isDirectory, isEmpty else {
                throw failure("rename", new, SimulatedErrno.exists)
            }
        }
        change([(oldDirectory, oldName, nil), (newDirectory, newName, moved)])
    }

    mutating func removeFile(_ path: String) throws(FileError) {
        try admit(.remove, "unlink", path)
        let (directory, name) = try parent(of: path, "unlink")
        guard let removed = nodes[directory].children[name] else {
            throw failure("unlink", path, SimulatedErrno.noEntry)
        }
        guard !nodes[removed].isDirectory else { throw failure("unlink", path, SimulatedErrno.isDirectory) }
        change([(directory, name, nil)])
    }

    mutating func removeTree(_ path: String) throws(FileError) {
        let (directory, name) = try parent(of: path, "rmdir")
        guard let removed = nodes[directory].children[name] else {
            throw failure("rmdir", path, SimulatedErrno.noEntry)
        }
        guard nodes[removed].isDirectory else { throw failure("rmdir", path, SimulatedErrno.notDirectory) }
        for child in nodes[removed].children.keys.sorted() {
            guard let inside = nodes[removed].children[child] else { continue }
            if nodes[inside].isDirectory {
                try removeTree(path + "/" + child)
            } else {
                try removeFile(path + "/" + child)
            }
        }
        try admit(.remove, "rmdir", path)
        change([(directory, name, nil)])
    }

    mutating func synchronizeDirectory(_ path: String) throws(FileError) {
        try admit(.synchronizeDirectory, "fsync", path)
        guard let directory = node(at: path) else { throw failure("fsync", path, SimulatedErrno.noEntry) }
        guard nodes[directory].isDirectory else { throw failure("fsync", path, SimulatedErrno.notDirectory) }
        var waiting: [EntryChange] = []
        var unlinked: [Int] = []
        for change in entryChanges {
            guard change.links.contains(where: { $0.directory == directory }) else {
                waiting.append(change)
                continue
            }
            for link in change.links {
                if let before = nodes[link.directory].durableChildren[link.name], before != link.node {
                    unlinked.append(before)
                }
                nodes[link.directory].durableChildren[link.name] = link.node
            }
        }
        entryChanges = waiting
        for node in unlinked { releaseIfUnreachable(node) }
    }

    mutating func lock(_ path: String) throws(FileError) -> Bool {
        _ = try parent(of: path, "open")
        if node(at: path) == nil {
            let made = try open(path, .create)
            nodes[made].handles -= 1
        }
        let key = components(path).joined(separator: "/")
        if locks.contains(key) { return false }
        locks.append(key)
        return true
    }

    mutating func unlock(_ path: String) {
        let key = components(path).joined(separator: "/")
        locks.removeAll { $0 == key }
    }

    // MARK: Bytes

    mutating func write(_ bytes: UnsafeRawBufferPointer, node: Int, at offset: Int, _ path: String) throws(FileError) {
        guard offset >= 0 else { throw failure("pwrite", path, SimulatedErrno.invalid) }
        do {
            try admit(.write, "pwrite", path)
        } catch {
            // A write that fails may have written a part.
            let part = random.oneIn(2) ? 0 : random.below(bytes.count + 1)
            if part > 0, room(for: part, at: offset, node: node) == part {
                append(.write(offset: offset, bytes: Self.copy(bytes, part)), node: node)
            }
            throw error
        }
        let fitting = room(for: bytes.count, at: offset, node: node)
        append(.write(offset: offset, bytes: Self.copy(bytes, fitting)), node: node)
        if fitting < bytes.count { throw failure("pwrite", path, SimulatedErrno.noSpace) }
    }

    mutating func fill(node: Int, upTo bytes: Int, _ path: String) throws(FileError) {
        let size = nodes[node].content.count
        guard size < bytes else { return }
        try admit(.write, "pwrite", path)
        let fitting = room(for: bytes - size, at: size, node: node)
        append(.zeros(offset: size, count: fitting), node: node)
        if fitting < bytes - size { throw failure("pwrite", path, SimulatedErrno.noSpace) }
    }

    mutating func truncate(node: Int, to bytes: Int, _ path: String) throws(FileError) {
        guard bytes >= 0 else { throw failure("ftruncate", path, SimulatedErrno.invalid) }
        try admit(.write, "ftruncate", path)
        append(.truncate(bytes), node: node)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, node: Int, at offset: Int) -> Int {
        let content = nodes[node].content
        guard offset >= 0, offset < content.count else { return 0 }
        let count = min(buffer.count, content.count - offset)
        content.withUnsafeBytes {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count]))
        }
        return count
    }

    mutating func admitRead(_ path: String) throws(FileError) { try admit(.read, "pread", path) }

    mutating func synchronize(node: Int, _ path: String) throws(FileError) {
        synchronizeCalls += 1
        do {
            try admit(.synchronize, "fdatasync", path)
        } catch {
            if isPowered { scatter(node) }
            throw error
        }
        let changes = nodes[node].unsynced
        nodes[node].unsynced.removeAll(keepingCapacity: true)
        for change in changes { Self.apply(change, to: &nodes[node].durable) }
    }

    /// After a failed synchronize every write is durable, or still waiting, or (the cruel case, which Linux has) seen
    /// by readers, clean for the next synchronize, and not on the disk.
    private mutating func scatter(_ node: Int) {
        let changes = nodes[node].unsynced
        nodes[node].unsynced = []
        for change in changes {
            switch random.below(3) {
            case 0: Self.apply(change, to: &nodes[node].durable)
            case 1: nodes[node].unsynced.append(change)
            default: break
            }
        }
    }

    private mutating func room(for count: Int, at offset: Int, node: Int) -> Int {
        guard let capacity = plan.capacityBytes else { return count }
        let growth = max(0, offset + count - nodes[node].content.count)
        // Writing inside the file takes no space.
        let over = min(growth, usedBytes + growth - capacity)
        if over <= 0 { return count }
        failedCalls += 1
        return count - over
    }

    private mutating func append(_ change: Change, node: Int) {
        let before = nodes[node].content.count
        Self.apply(change, to: &nodes[node].content)
        usedBytes += nodes[node].content.count - before
        nodes[node].unsynced.append(change)
    }

    private static func apply(_ change: Change, to bytes: inout [UInt8]) {
        switch change {
        case .write(let offset, let written):
            guard !written.isEmpty else { return }
            extend(&bytes, to: offset + written.count)
            bytes.withUnsafeMutableBytes { target in
                written.withUnsafeBytes {
                    UnsafeMutableRawBufferPointer(rebasing: target[offset..<offset + $0.count]).copyMemory(from: $0)
                }
            }
        case .zeros(let offset, let count):
            guard count > 0 else { return }
            if offset >= bytes.count {
                extend(&bytes, to: offset + count)
            } else {
                apply(.write(offset: offset, bytes: [UInt8](repeating: 0, count: count)), to: &bytes)
            }
        case .truncate(let size):
            if size < bytes.count { bytes.removeLast(bytes.count - size) } else { extend(&bytes, to: size) }
        }
    }

    private static func copy(_ bytes: UnsafeRawBufferPointer, _ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
            UnsafeMutableRawBufferPointer(target).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
            initialized = count
        }
    }

    private static func extend(_ bytes: inout [UInt8], to size: Int) {
        // The library's own repeating initializer is quick in debug builds too.
        if bytes.count < size { bytes += [UInt8](repeating: 0, count: size - bytes.count) }
    }

    // MARK: Ends

    /// The process dies, the machine lives on: caches stay, handles and locks go.
    mutating func endProcess() {
        generation += 1
        locks = []
        for index in nodes.indices { nodes[index].handles = 0 }
    }

    /// The power goes: what was not synchronized survives in any part and any combination.
    mutating func crash() {
        endProcess()
        // Whole-or-nothing outcomes are rare in a mixture of many writes, and are what happens most in the world.
        let mood = random.below(4)
        for change in entryChanges where survives(mood) {
            for link in change.links { nodes[link.directory].durableChildren[link.name] = link.node }
        }
        entryChanges = []
        for index in nodes.indices where !nodes[index].isDirectory {
            for change in nodes[index].unsynced {
                for piece in remains(of: change, mood) { Self.apply(piece, to: &nodes[index].durable) }
            }
            nodes[index].unsynced = []
            nodes[index].content = nodes[index].durable
        }
        for index in nodes.indices { nodes[index].children = nodes[index].durableChildren }
        let reachable = reachableNodes()
        for index in nodes.indices where !reachable[index] {
            nodes[index].content = []
            nodes[index].durable = []
        }
        usedBytes = nodes.reduce(0) { $0 + $1.content.count }
        plan = FaultPlan(capacityBytes: plan.capacityBytes)
        isPowered = true
    }

    private mutating func survives(_ mood: Int) -> Bool {
        switch mood {
        case 0: false
        case 1: true
        default: random.oneIn(2)
        }
    }

    private mutating func remains(of change: Change, _ mood: Int) -> [Change] {
        switch mood {
        case 0: return []
        case 1: return [change]
        default: break
        }
        switch random.below(3) {
        case 0: return []
        case 1: return [change]
        default: break
        }
        switch change {
        case .truncate: return random.oneIn(2) ? [change] : []
        case .write(let offset, let bytes):
            return tear(offset, bytes.count).map {
                .write(offset: $0.lowerBound, bytes: Array(bytes[$0.lowerBound - offset..<$0.upperBound - offset]))
            }
        case .zeros(let offset, let count):
            return tear(offset, count).map { .zeros(offset: $0.lowerBound, count: $0.count) }
        }
    }

    /// The ranges of a torn write that reached the disk.
    private mutating func tear(_ offset: Int, _ count: Int) -> [Range<Int>] {
        guard count > 0 else { return [] }
        let end = offset + count
        if model.tearsWithinSectors, random.oneIn(2) { return [offset..<offset + random.below(count + 1)] }
        let sectors = offset / model.sectorBytes...(end - 1) / model.sectorBytes
        let style = random.below(3)
        let pivot = sectors.lowerBound + random.below(sectors.count + 1)
        var ranges: [Range<Int>] = []
        for sector in sectors {
            let kept =
                switch style {
                case 0: sector < pivot
                case 1: sector >= pivot
                default: random.oneIn(2)
                }
            let start = max(offset, sector * model.sectorBytes)
            if kept { ranges.append(start..<min(end, (sector + 1) * model.sectorBytes)) }
        }
        return ranges
    }

    private func reachableNodes() -> [Bool] {
        var reachable = [Bool](repeating: false, count: nodes.count)
        var open = [0]
        while let next = open.popLast() {
            if reachable[next] { continue }
            reachable[next] = true
            open.append(contentsOf: nodes[next].children.values)
            open.append(contentsOf: nodes[next].durableChildren.values)
        }
        return reachable
    }

    /// Frees a removed file's bytes once no name and no handle leads to it.
    mutating func releaseIfUnreachable(_ node: Int) {
        guard !nodes[node].isDirectory, nodes[node].handles == 0, !nodes[node].content.isEmpty else { return }
        let isWaiting = entryChanges.contains { $0.links.contains { $0.node == node } }
        guard !isWaiting, !reachableNodes()[node] else { return }
        usedBytes -= nodes[node].content.count
        nodes[node].content = []
        nodes[node].durable = []
        nodes[node].unsynced = []
    }
}
