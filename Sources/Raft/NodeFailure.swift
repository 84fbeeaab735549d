/// Why a node has stopped by itself. It never goes on after one of these: what it would say could be untrue.
package struct NodeFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Part: String, Sendable {
        case log
        case stateMachine = "state machine"
        case engine, snapshot, membership
    }
    package var part: Part
    package var reason: String

    package init(part: Part, reason: String) {
        self.part = part
        self.reason = reason
    }

    package var description: String { "\(part.rawValue): \(reason)" }
}
