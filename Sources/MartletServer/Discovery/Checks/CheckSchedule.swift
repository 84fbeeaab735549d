import MVCC
import NIOCore

/// When which instance is checked, and what an outcome means: no sockets, no clock.
struct CheckSchedule {
    struct Definition: Hashable, Sendable {
        var service: String
        var id: String
        var instance: ServiceInstance
        var check: ServiceCheck
        /// As it stands in its key.
        var value: [UInt8]
        var modRevision: Revision
    }

    /// What is to be done for the instance's keys.
    enum Action: Hashable, Sendable {
        /// It is well: listed, with its lease renewed.
        case list
        /// It has failed, and not often enough: as it was.
        case keep
        /// It has failed too often: listed no more.
        case hide
        /// It has been ill for too long: not even checked any more.
        case forget
    }

    private struct Entry {
        var definition: Definition
        var due: NIODeadline
        var isUnderWay = false
        var failures: Int64 = 0
        var illSince: NIODeadline?
    }

    private var entries: [[UInt8]: Entry] = [:]
    private(set) var underWayCount = 0
    private let atOnceMax: Int

    init(atOnceMax: Int) { self.atOnceMax = atOnceMax }

    var count: Int { entries.count }
    var revisions: [[UInt8]: Revision] { entries.mapValues(\.definition.modRevision) }

    /// Takes over what is to be checked now: what is new, or was changed, is due at once; in the beginning, when all
    /// are new, in the course of an interval.
    /// - Parameters:
    ///   - changed: of those keys alone that ``revisions`` does not have like this.
    ///   - spread: for a definition, when it is due first.
    mutating func update(
        keys: Set<[UInt8]>, changed: [[UInt8]: Definition], now: NIODeadline,
        spread: (Definition) -> TimeAmount = { _ in .zero }
    ) {
        for key in entries.keys where !keys.contains(key) {
            if entries.removeValue(forKey: key)?.isUnderWay == true { underWayCount -= 1 }
        }
        for (key, definition) in changed {
            if entries[key]?.isUnderWay == true { underWayCount -= 1 }
            entries[key] = Entry(definition: definition, due: now + spread(definition))
        }
    }

    /// Those whose time has come, longest due first, as many as may be under way.
    mutating func takeDue(at now: NIODeadline) -> [Definition] {
        let room = atOnceMax - underWayCount
        guard room > 0 else { return [] }
        let due = entries.filter { !$0.value.isUnderWay && $0.value.due <= now }
            .sorted { ($0.value.due, $0.value.definition.id) < ($1.value.due, $1.value.definition.id) }
            .prefix(room)
        for (key, _) in due { entries[key]?.isUnderWay = true }
        underWayCount += due.count
        return due.map(\.value.definition)
    }

    /// Nil where the definition was changed meanwhile: what was found is not about it. The check is still under way
    /// until ``finish(_:at:)``.
    mutating func judge(_ definition: Definition, passed: Bool, at now: NIODeadline) -> Action? {
        let key = ServiceLayout.checkKey(definition.service, definition.id)
        guard var entry = entries[key], entry.definition.modRevision == definition.modRevision else { return nil }
        defer { entries[key] = entry }
        guard !passed else {
            entry.failures = 0
            entry.illSince = nil
            return .list
        }
        entry.failures += 1
        let illSince = entry.illSince ?? now
        entry.illSince = illSince
        if let limit = definition.check.deregisterAfterMilliseconds, now - illSince >= .milliseconds(limit) {
            return .forget
        }
        return entry.failures >= definition.check.failuresMax ? .hide : .keep
    }

    /// The check is over, with all that was written for it.
    mutating func finish(_ definition: Definition, at now: NIODeadline) {
        let key = ServiceLayout.checkKey(definition.service, definition.id)
        guard let entry = entries[key], entry.definition.modRevision == definition.modRevision, entry.isUnderWay else {
            return
        }
        entries[key]?.isUnderWay = false
        entries[key]?.due = now + .milliseconds(definition.check.intervalMilliseconds)
        underWayCount -= 1
    }
}
