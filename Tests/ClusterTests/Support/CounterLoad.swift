import EtcdAPI
import MartletClient

/// Writers with a key of their own each, that they count up: what is stored must be what was acknowledged last, or
/// later.
struct CounterLoad {
    struct Counter: Sendable {
        var key: String
        var acknowledged: Int
        var attempted: Int
    }

    static let writerCount = 8

    let members: [TestMember]
    let name: String
    let stop = Stop()

    /// Returns when ``stop`` is set.
    func run() async -> [Counter] {
        await withTaskGroup(of: Counter.self) { group in
            for number in 0..<Self.writerCount {
                group.addTask {
                    let client = members[number % members.count].client(timeout: .seconds(1))
                    var counter = Counter(key: "counter/\(name)/\(number)", acknowledged: 0, attempted: 0)
                    while !stop.isOver {
                        counter.attempted += 1
                        do throws(ClientError) {
                            try await client.put(counter.key, String(counter.attempted))
                            counter.acknowledged = counter.attempted
                        } catch {
                            try? await Task.sleep(for: .milliseconds(20))
                        }
                    }
                    await client.shutdown()
                    return counter
                }
            }
            var counters: [Counter] = []
            for await counter in group { counters.append(counter) }
            return counters
        }
    }

    static func check(_ counters: [Counter], with client: EtcdClient) async throws {
        for counter in counters {
            guard counter.acknowledged > 0 else { throw ClusterFailure("\(counter.key) was never written: no load") }
            let pair = try await client.get(counter.key)
            let stored = pair.flatMap { Int(String(decoding: $0.value, as: UTF8.self)) } ?? 0
            guard (counter.acknowledged...counter.attempted).contains(stored) else {
                throw ClusterFailure(
                    "\(counter.key) is \(stored), though \(counter.acknowledged) was acknowledged and "
                        + "\(counter.attempted) was the last that was tried")
            }
        }
    }
}
