import MVCC
import TestSupport
import Testing

@testable import Replica

@Suite struct WatchIndexTests {
    /// Against a list of all watchers, while they come and go.
    @Test(arguments: 0..<40)
    func findsWhatAListFinds(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let stream = WatchStream(outlet: Reader())
        var index = WatchIndex()
        var all: [Watcher] = []
        for step in 0..<600 {
            if all.isEmpty || random.chance(step < 300 ? 70 : 40) {
                let watcher = Watcher(
                    WatchRequest(random.range()), id: Int64(step), stream: stream, next: 0, floor: 0)
                all.append(watcher)
                index.insert(watcher)
            } else {
                index.remove(all.remove(at: random.int(0...all.count - 1)))
            }
            let key = random.key()
            var found: [Int64] = []
            index.forEachGroup(with: key) { group in
                #expect(!group.watchers.isEmpty)
                found += group.watchers.map(\.id)
            }
            #expect(found.sorted() == all.filter { $0.range.contains(key) }.map(\.id).sorted())
        }
    }

    /// Ranges that come in the order of their keys do not make a list of the tree.
    @Test func staysFlat() {
        var tree = RangeTree()
        for number in 0..<20_000 {
            let key = (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) }
            _ = tree.group(of: KeyRange(key: key, end: .upTo(key + [255])))
        }
        #expect(tree.height < 60)
    }

    @Test func oneNodeForOneRange() {
        var tree = RangeTree()
        let range = KeyRange(key: [1], end: .upTo([2]))
        #expect(tree.group(of: range) === tree.group(of: range))
        #expect(tree.height == 1)
        tree.remove(range)
        #expect(tree.height == 0)
    }
}
