import MVCC
import TestSupport

extension SeededRandom {
    /// Short keys over three letters, so that ranges meet.
    mutating func key() -> [UInt8] { (0..<int(1...3)).map { _ in UInt8(97 + int(0...2)) } }

    mutating func range() -> KeyRange {
        switch int(0...5) {
        case 0, 1: return KeyRange(key: key())
        case 2: return KeyRange(key: key(), end: .fromKey)
        default:
            let (a, b) = (key(), key())
            guard a != b else { return KeyRange(key: a) }
            return precedes(a, b) ? KeyRange(key: a, end: .upTo(b)) : KeyRange(key: b, end: .upTo(a))
        }
    }
}
