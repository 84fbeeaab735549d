import Foundation
import Synchronization

/// Nanoseconds of the clock that never goes back.
func monotonicNanoseconds() -> UInt64 { DispatchTime.now().uptimeNanoseconds }

/// "1.234 s"
func secondsText(_ nanoseconds: UInt64) -> String {
    let milliseconds = String(nanoseconds / 1_000_000 % 1000)
    return "\(nanoseconds / 1_000_000_000).\(String(repeating: "0", count: 3 - milliseconds.count))\(milliseconds) s"
}

/// Says that a load or a nemesis is to end.
final class Stop: Sendable {
    private let isSet = Atomic(false)

    func set() { isSet.store(true, ordering: .relaxed) }
    var isOver: Bool { isSet.load(ordering: .relaxed) }
}
