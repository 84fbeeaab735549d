@testable import RaftCore

/// A core's state as bytes: two cores with the same bytes behave the same from then on.
///
/// It walks the whole value by reflection, so that a field that is added to the core tomorrow takes part without
/// anybody having to think of it: a field left out would merge states that differ, and the exploration would miss some
/// without a word. What is *not* taken literally is named here, and is only layout:
/// - ids of writes count from the last durable one,
/// - queues that keep a dead front (`head`) are written without it, and the ring of `Inflights` from its start,
/// - of equal messages that are held back, the first: the explored network is a set, in which the others change nothing
///   (without this, a message that arrives again and again while a disk is slow would make states without end).
struct CanonicalBytes {
    private(set) var bytes: [UInt8] = []
    private var firstWrite: UInt64 = 0

    mutating func add(_ core: RaftCore) {
        firstWrite = core.durability.stable.rawValue
        add(core.options.id.rawValue)
        // Options are the same for all members but for the id.
        for child in Mirror(reflecting: core).children where child.label != "options" { walk(child.value) }
    }

    mutating func add(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func walk(_ value: Any) {
        let type = type(of: value)
        if type == LogIndex.self { return add((value as! LogIndex).rawValue) }
        if type == Term.self { return add((value as! Term).rawValue) }
        if type == NodeID.self { return add((value as! NodeID).rawValue) }
        if type == WriteID.self { return add((value as! WriteID).rawValue &- firstWrite) }
        if type == Int.self { return add(UInt64(bitPattern: Int64(value as! Int))) }
        if type == UInt64.self { return add(value as! UInt64) }
        if type == Bool.self { return add(value as! Bool ? 1 : 0) }
        if type == UInt32.self { return add(UInt64(value as! UInt32)) }
        if type == UInt8.self { return add(UInt64(value as! UInt8)) }
        if type == ReplicationState.self { return add(UInt64((value as! ReplicationState).rawValue)) }
        if type == RoleName.self { return add(UInt64((value as! RoleName).rawValue)) }
        if type == EntryKind.self { return add(UInt64((value as! EntryKind).rawValue)) }
        let mirror = Mirror(reflecting: value)
        switch mirror.displayStyle {
        case .optional:
            add(mirror.children.isEmpty ? 0 : 1)
            for child in mirror.children { walk(child.value) }
        case .collection:
            add(UInt64(mirror.children.count))
            for child in mirror.children { walk(child.value) }
        case .enum:
            if let child = mirror.children.first {
                add(text: child.label ?? "")
                walk(child.value)
            } else {
                add(text: String(describing: value))
            }
        default:
            if type == Inflights.self { return addRing(mirror) }
            if type == OutgoingHold.self { return addHold(mirror) }
            // Only where a front can be dead.
            let head = mirror.children.first { $0.label == "head" }?.value as? Int ?? 0
            for child in mirror.children {
                switch child.label {
                case "head": continue
                case "sizes" where head > 0, "flying" where head > 0, "pending" where head > 0:
                    let elements = Mirror(reflecting: child.value).children
                    add(UInt64(elements.count - head))
                    for element in elements.dropFirst(head) { walk(element.value) }
                default: walk(child.value)
                }
            }
        }
    }

    private mutating func addRing(_ mirror: Mirror) {
        var ring: [Any] = []
        var start = 0
        var count = 0
        for child in mirror.children {
            switch child.label {
            case "ring": ring = Mirror(reflecting: child.value).children.map(\.value)
            case "start": start = child.value as! Int
            case "count": count = child.value as! Int
            default: walk(child.value)
            }
        }
        add(UInt64(count))
        for offset in 0..<count { walk(ring[(start + offset) % ring.count]) }
    }

    /// Between steps all of it is sealed.
    private mutating func addHold(_ mirror: Mirror) {
        var queue: [Any] = []
        var head = 0
        for child in mirror.children {
            switch child.label {
            case "queue": queue = Mirror(reflecting: child.value).children.map(\.value)
            case "head": head = child.value as! Int
            case "sealed": precondition(child.value as! Int == queue.count, "a step that has not ended")
            default: walk(child.value)
            }
        }
        var seen: Set<[UInt8]> = []
        for held in queue.dropFirst(head) {
            var promise = CanonicalBytes()
            for child in Mirror(reflecting: held).children where child.label == "promise" {
                promise.walk(child.value)
            }
            if !seen.insert(promise.bytes).inserted { continue }
            walk(held)
        }
        // An end, since the number is not written.
        add(text: "held")
    }

    private mutating func add(text: String) {
        add(UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }
}
