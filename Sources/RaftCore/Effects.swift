/// What one or several steps asked for, in order. The caller owns it, empties it when the effects are carried out, and
/// uses it again.
public struct Effects: Sendable {
    public var list: [Effect] = []

    public init() {}

    @inline(__always)
    public mutating func emit(_ effect: consuming Effect) { list.append(effect) }

    public mutating func removeAll(keepingCapacity: Bool = true) {
        list.removeAll(keepingCapacity: keepingCapacity)
    }
}
