package import EtcdAPI
import HTTP2
import SwiftProtobuf
import Synchronization

extension EtcdClient {
    /// - Parameters:
    ///   - ttl: in seconds; the server may grant more.
    ///   - id: 0 for one of the server's choice.
    package func leaseGrant(ttl: Int64, id: Int64 = 0) async throws(ClientError) -> Etcdserverpb_LeaseGrantResponse {
        let request = Etcdserverpb_LeaseGrantRequest.with {
            $0.ttl = ttl
            $0.id = id
        }
        return try await call(.leaseGrant, request, isRepeatable: false)
    }

    /// Ends a lease; its keys are deleted.
    package func leaseRevoke(_ id: Int64) async throws(ClientError) -> WireHeaderOnlyResponse {
        try await call(.leaseRevoke, WireNumberRequest(id).encoded(), isRepeatable: false) { (raw) throws(WireError) in
            try WireHeaderOnlyResponse(decoding: raw)
        }
    }

    /// How much of a lease is left: -1 where there is none of this id.
    package func leaseTimeToLive(
        _ id: Int64, keys: Bool = false
    ) async throws(ClientError) -> Etcdserverpb_LeaseTimeToLiveResponse {
        let request = Etcdserverpb_LeaseTimeToLiveRequest.with {
            $0.id = id
            $0.keys = keys
        }
        return try await call(.leaseTimeToLive, request, isRepeatable: true)
    }

    package func leaseList() async throws(ClientError) -> Etcdserverpb_LeaseLeasesResponse {
        try await call(.leaseLeases, Etcdserverpb_LeaseLeasesRequest(), isRepeatable: true)
    }

    /// Renews a lease once; an answer with no seconds says that there is no such lease.
    package func leaseKeepAliveOnce(_ id: Int64) async throws(ClientError) -> WireLeaseKeepAliveResponse {
        let keeper = LeaseKeeper(self, id)
        defer { keeper.end() }
        return try await keeper.renew(before: .now + options.timeout)
    }
}

/// Renews a lease for as long as it is asked for the next answer.
///
/// A renewal is sent when a third of the time is over, at another member where the connection was lost, and given up
/// when the time that the server promised last is over.
package final class LeaseKeeper: Sendable {
    private struct State {
        var stream: ClientStream?
        var nextRenewal: ContinuousClock.Instant?
        var expiry: ContinuousClock.Instant?
        var hasEnded = false
    }

    private let client: EtcdClient
    package let id: Int64
    private let state = Mutex(State())

    private let interval: Duration?

    /// - Parameter interval: how often it is renewed; nil: thrice in each TTL.
    package init(_ client: EtcdClient, _ id: Int64, interval: Duration? = nil) {
        self.client = client
        self.id = id
        self.interval = interval
    }

    /// Renews the lease when it is time to, and returns the answer; nil where the lease is gone. For one caller at a
    /// time.
    package func next() async throws(ClientError) -> WireLeaseKeepAliveResponse? {
        let (time, expiry, hasEnded) = state.withLock { ($0.nextRenewal, $0.expiry, $0.hasEnded) }
        guard !hasEnded else { return nil }
        if let time, time > .now { try await EtcdClient.pause(ContinuousClock.now.duration(to: time)) }
        let answer: WireLeaseKeepAliveResponse
        do throws(ClientError) {
            answer = try await renew(before: expiry ?? .now + client.options.timeout)
        } catch {
            // Whatever the reason is: what was promised is over.
            if error != .canceled, let expiry, expiry <= .now { return nil }
            throw error
        }
        guard answer.ttl > 0 else {
            end()
            return nil
        }
        return answer
    }

    package func end() {
        let stream = state.withLock { state in
            state.hasEnded = true
            defer { state.stream = nil }
            return state.stream
        }
        stream?.cancel()
    }

    /// One renewal, repeated at other members until there is an answer.
    func renew(before deadline: ContinuousClock.Instant) async throws(ClientError) -> WireLeaseKeepAliveResponse {
        var pause = client.options.retryPause
        while true {
            let open = state.withLock { $0.stream }
            let stream: ClientStream
            if let open {
                stream = open
            } else {
                stream = try await client.openStream(.leaseKeepAlive, before: deadline)
            }
            state.withLock { $0.stream = stream }
            stream.send(WireNumberRequest(id).encoded())
            let asked = ContinuousClock.now
            // A member that says nothing is as good as lost.
            let watchdog = Task {
                try await Task.sleep(until: deadline, clock: .continuous)
                stream.cancel()
            }
            defer { watchdog.cancel() }
            do throws(StreamFailure) {
                let answer = try await stream.next { (raw) throws(WireError) in
                    try WireLeaseKeepAliveResponse(decoding: raw)
                }
                guard let answer else { throw .lost(GRPCStatus(.unavailable, "the server ended the stream")) }
                state.withLock { state in
                    state.nextRenewal = asked + (interval ?? .seconds(answer.ttl) / 3)
                    state.expiry = asked + .seconds(answer.ttl)
                }
                return answer
            } catch {
                state.withLock { $0.stream = nil }
                stream.cancel()
                if Task.isCancelled { throw .canceled }
                guard deadline > .now + pause else { throw error.isPassing ? error.error : .deadlineExceeded }
                guard error.isPassing else { throw error.error }
                client.pool.avoid(stream.endpoint)
            }
            try await EtcdClient.pause(pause)
            pause = min(pause * 2, client.options.retryPauseMax)
        }
    }
}
