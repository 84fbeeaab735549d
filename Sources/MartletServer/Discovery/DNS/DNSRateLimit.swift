import NIOCore

/// Counts questions by who asks, a second at a time. Whoever is in the sender's field of a datagram gets the answer:
/// so that nobody is flooded in somebody else's name, he gets so many, then as many that are no longer than the
/// question and say that it is to be asked over TCP, where he is who he says, and then nothing.
struct DNSRateLimit {
    enum Verdict: Hashable {
        case answer, askOverTCP, drop
    }

    private let perAddressMax: Int
    private let addressesMax: Int
    private var counts: [IPAddress: Int] = [:]
    /// Of all who found no place of their own.
    private var others = 0
    private var second: Int64 = -1

    init(limits: DiscoveryLimits) {
        perAddressMax = limits.questionsPerAddressMax
        addressesMax = limits.addressesMax
    }

    mutating func judge(_ address: IPAddress?, at now: NIODeadline) -> Verdict {
        let current = Int64(now.uptimeNanoseconds / 1_000_000_000)
        if current != second {
            second = current
            counts.removeAll(keepingCapacity: true)
            others = 0
        }
        let count: Int
        if let address, counts[address] != nil || counts.count < addressesMax {
            count = counts[address, default: 0] + 1
            counts[address] = count
        } else {
            others += 1
            count = others
        }
        if count <= perAddressMax { return .answer }
        return count <= 2 * perAddressMax ? .askOverTCP : .drop
    }
}

extension IPAddress {
    /// Who a datagram came from. Of IPv6 the network counts: one host may have all of it.
    init?(_ address: SocketAddress) {
        guard let text = address.ipAddress, let ip = IPAddress(text) else { return nil }
        switch ip {
        case .v4: self = ip
        case .v6(let bytes): self = .v6(Array(bytes.prefix(8)))
        }
    }
}
