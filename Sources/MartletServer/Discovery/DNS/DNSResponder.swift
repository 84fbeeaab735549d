import MVCC
import NIOCore
import Raft
import RaftCore
import Replica
import Synchronization

/// Answers questions out of what this member has applied, on the event loop of DNS. That may be a little behind the
/// others, and without a leader it may be old: DNS is kept by resolvers in any case, and an old answer is better than
/// none. Who wants the newest asks the HTTP API.
final class DNSResponder: @unchecked Sendable {  // used on its event loop only, but for the counters
    /// For the metrics.
    final class Counters: Sendable {
        let questions = Atomic<UInt64>(0)
        let errors = Atomic<UInt64>(0)
        let dropped = Atomic<UInt64>(0)
        let truncated = Atomic<UInt64>(0)
    }

    /// What is answered from.
    struct Source: Sendable {
        /// Nil while this member has no state yet.
        var store: @Sendable () -> ReadView?
        var servers: @Sendable () -> [IPAddress]
        var failed: @Sendable (ReadError) -> Void
    }

    let domain: DNSName
    let ttl: UInt32
    let counters = Counters()
    private let source: Source
    private let cache: DNSInstanceCache

    init(domain: DNSName, ttl: UInt32, source: Source, limits: DiscoveryLimits) {
        self.domain = domain
        self.ttl = ttl
        self.source = source
        cache = DNSInstanceCache(limits: limits)
    }

    /// Nil where there is nothing to be said.
    /// - Parameter isStream: over TCP, where an answer may be long.
    func respond(to bytes: UnsafeRawBufferPointer, isStream: Bool) -> [UInt8]? {
        counters.questions.wrappingAdd(1, ordering: .relaxed)
        switch DNSQuery.read(bytes) {
        case .nothing:
            counters.dropped.wrappingAdd(1, ordering: .relaxed)
            return nil
        case .malformed(let header):
            counters.errors.wrappingAdd(1, ordering: .relaxed)
            return DNSWriter.write(header.opcode == 0 ? .formatError : .notImplemented, to: header)
        case .query(let query):
            let answer = self.answer(query)
            if answer.code != .noError, answer.code != .noSuchName {
                counters.errors.wrappingAdd(1, ordering: .relaxed)
            }
            let bytes = DNSWriter.write(answer, to: query, bytesMax: Self.bytesMax(query, isStream: isStream))
            if bytes[2] & 0x02 != 0 { counters.truncated.wrappingAdd(1, ordering: .relaxed) }
            return bytes
        }
    }

    /// "Ask over TCP", whatever was asked.
    func respondInShort(to bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        counters.questions.wrappingAdd(1, ordering: .relaxed)
        guard case .query(let query) = DNSQuery.read(bytes) else {
            counters.dropped.wrappingAdd(1, ordering: .relaxed)
            return nil
        }
        counters.truncated.wrappingAdd(1, ordering: .relaxed)
        var answer = DNSWriter.write(DNSAnswer(), to: query, bytesMax: DiscoveryLimits.plainDatagramBytesMax)
        answer[2] |= 0x02
        return answer
    }

    static func bytesMax(_ query: DNSQuery, isStream: Bool) -> Int {
        if isStream { return Int(UInt16.max) }
        guard let edns = query.edns else { return DiscoveryLimits.plainDatagramBytesMax }
        return max(
            DiscoveryLimits.plainDatagramBytesMax, min(edns.payloadBytes, DiscoveryLimits.datagramBytesMax))
    }

    private func answer(_ query: DNSQuery) -> DNSAnswer {
        if let edns = query.edns, edns.version != 0 { return DNSAnswer(code: .badVersion, isAuthoritative: false) }
        // Another member may know.
        guard let store = source.store() else { return DNSAnswer(code: .serverFailure, isAuthoritative: false) }
        let zone = DNSZone(
            domain: domain, ttl: ttl,
            instances: { [cache] service throws(ReadError) in try cache.healthy(service, in: store) },
            servers: source.servers, serial: UInt32(truncatingIfNeeded: store.revision.rawValue))
        do throws(ReadError) {
            return try zone.answer(query.question)
        } catch {
            source.failed(error)
            return DNSAnswer(code: .serverFailure, isAuthoritative: false)
        }
    }
}

extension DNSResponder.Source {
    init(_ context: ServiceContext) {
        store = {
            let published = context.node.published
            return published.status.isJoining ? nil : published.view.store
        }
        servers = {
            let hosts = context.node.published.view.members.flatMap(\.clientURLs).compactMap { url in
                url.utf8Range(of: "://").map { AccessRules.hostName(String(url[$0.upperBound...])) }
            }
            var seen: Set<IPAddress> = []
            return hosts.compactMap { IPAddress($0) }.filter { seen.insert($0).inserted }
        }
        failed = { error in _ = context.apiError(of: error) }
    }
}
