/// All layers as one consistent moment. Any thread may read it; a copy costs a reference.
package struct LayeredView: Sendable {
    private final class Layers: Sendable {
        let active: TreeSet
        let frozen: FrozenLayer?
        let moment: EngineMoment

        init(active: TreeSet, frozen: FrozenLayer?, moment: EngineMoment) {
            self.active = active
            self.frozen = frozen
            self.moment = moment
        }
    }

    private let layers: Layers

    init(active: TreeSet, frozen: FrozenLayer?, moment: EngineMoment) {
        layers = Layers(active: active, frozen: frozen, moment: moment)
    }

    /// Calls `body` with the value, or nil; the bytes are valid during the call.
    package func withValue<R>(
        _ table: Table, _ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer?) throws -> R
    ) rethrows -> R {
        defer { withExtendedLifetime(layers) {} }
        if let row = unsafe layers.active.find(table, key) { return try unsafe body(row.value) }
        if let row = unsafe layers.frozen?.find(table, key) { return try unsafe body(row.value) }
        if layers.moment.isEmpty(table) { return try body(nil) }
        return try unsafe layers.moment.snapshot.withValue(table, key, body)
    }

    package func value(_ table: Table, _ key: [UInt8]) -> [UInt8]? {
        unsafe key.withUnsafeBytes { key in
            unsafe withValue(table, key) { value in unsafe value.map { unsafe [UInt8]($0) } }
        }
    }

    package func makeCursor(_ table: Table) -> LayeredCursor {
        let frozen = layers.frozen?.trees
        return LayeredCursor(
            active: layers.active.isEmpty(table) ? nil : layers.active.makeCursor(table),
            frozen: frozen.flatMap { $0.isEmpty(table) ? nil : $0.makeCursor(table) },
            snapshot: layers.moment.isEmpty(table) ? nil : layers.moment.snapshot, table: table)
    }
}
