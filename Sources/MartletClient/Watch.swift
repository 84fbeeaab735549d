package import EtcdAPI
import HTTP2
import Synchronization

/// What happens to a key or a range of keys, in order and without a gap.
///
/// When its stream ends because a connection or a member was lost, it goes on at another member with the revision after
/// the last that was seen. Where that revision has been compacted in the meantime, the server cancels the watch, which
/// is its last response: events are never left out in silence.
///
/// ```swift
/// let watch = client.watch(request)
/// while let response = try await watch.next() { print(response.events) }
/// ```
package final class Watch: Sendable {
    private struct State {
        var stream: ClientStream?
        /// Where it goes on.
        var request: WireWatchCreateRequest<[UInt8]>
        var wasOpen = false
        /// The server has said that it has the watch.
        var isCreated = false
        var hasEnded = false
        /// Progress was asked for when there was nobody to ask.
        var owesProgressRequest = false
        var pause: Duration
    }

    private let client: EtcdClient
    private let state: Mutex<State>

    init(_ client: EtcdClient, _ request: WireWatchCreateRequest<[UInt8]>) {
        self.client = client
        state = Mutex(State(request: request, pause: client.options.retryPause))
    }

    /// The next response: events, a sign of progress (no events), or, as the last one, that the watch is canceled. Nil
    /// after that. For one reader at a time.
    ///
    /// The first connection has to be made within the client's timeout; after that, it waits for a member as long as it
    /// takes.
    package func next() async throws(ClientError) -> WireWatchResponse<[UInt8]>? {
        while true {
            guard let stream = try await currentStream() else { return nil }
            do throws(StreamFailure) {
                let response = try await stream.next { (raw) throws(WireError) in
                    try WatchResponseView(decoding: raw).owned
                }
                guard let response else { throw .lost(GRPCStatus(.unavailable, "the server ended the stream")) }
                if let seen = see(response) { return seen }
            } catch {
                if Task.isCancelled { end() }
                let goesOn = state.withLock { state in
                    state.stream = nil
                    if !error.isPassing { state.hasEnded = true }
                    return !state.hasEnded
                }
                stream.cancel()
                guard goesOn else { throw error.error }
                client.pool.avoid(stream.endpoint)
                let pause = state.withLock { state in
                    defer { state.pause = min(state.pause * 2, client.options.retryPauseMax) }
                    return state.pause
                }
                try await EtcdClient.pause(pause)
            }
        }
    }

    /// Asks the server how far it is; the answer is a response without events.
    package func requestProgress() {
        let stream = state.withLock { state in
            // Before the server knows of the watch, the answer would be nobody's.
            if !state.isCreated { state.owesProgressRequest = true }
            return state.isCreated ? state.stream : nil
        }
        stream?.send(WireWatchRequest<[UInt8]>.progress.encoded())
    }

    /// Ends it; `next()` is nil from now on, or throws where it waits.
    package func end() {
        let stream = state.withLock { state in
            state.hasEnded = true
            defer { state.stream = nil }
            return state.stream
        }
        stream?.cancel()
    }

    private func currentStream() async throws(ClientError) -> ClientStream? {
        let (open, hasEnded, wasOpen) = state.withLock { ($0.stream, $0.hasEnded, $0.wasOpen) }
        guard !hasEnded else { return nil }
        if let open { return open }
        let stream = try await client.openStream(.watch, before: wasOpen ? nil : .now + client.options.timeout)
        let request: WireWatchCreateRequest<[UInt8]>? = state.withLock { state in
            guard !state.hasEnded else { return nil }
            state.stream = stream
            state.wasOpen = true
            state.isCreated = false
            return state.request
        }
        guard let request else {
            stream.cancel()
            return nil
        }
        stream.send(WireWatchRequest.create(request).encoded())
        return stream
    }

    /// Notes how far it is; nil for what is not the caller's affair.
    private func see(_ response: WireWatchResponse<[UInt8]>) -> WireWatchResponse<[UInt8]>? {
        let (over, owed): (ClientStream?, ClientStream?) = state.withLock { state in
            state.pause = client.options.retryPause
            let revision = response.header?.revision ?? 0
            if response.canceled {
                state.hasEnded = true
                defer { state.stream = nil }
                return (state.stream, nil)
            }
            if response.created {
                // What it has promised to begin with; else a loss before the first event would skip events.
                if state.request.startRevision == 0 { state.request.startRevision = revision + 1 }
                state.isCreated = true
                defer { state.owesProgressRequest = false }
                return (nil, state.owesProgressRequest ? state.stream : nil)
            } else if let last = response.events.last?.kv?.modRevision {
                state.request.startRevision = last + 1
            } else {
                state.request.startRevision = max(state.request.startRevision, revision + 1)
            }
            return (nil, nil)
        }
        over?.cancel()
        owed?.send(WireWatchRequest<[UInt8]>.progress.encoded())
        return response.created && !response.canceled ? nil : response
    }
}

extension EtcdClient {
    /// Watches what the request names; the connection is made with the first `next()`.
    package func watch(_ request: WireWatchCreateRequest<[UInt8]>) -> Watch { Watch(self, request) }
}

extension WireWatchResponse {
    /// Why the server has canceled the watch; nil where it has not.
    package var cancellation: String? {
        guard canceled else { return nil }
        if compactRevision != 0 { return EtcdError.compacted.message }
        return cancelReason.isEmpty ? EtcdError.futureRevision.message : cancelReason
    }

    /// No events: all up to the header's revision have been sent.
    package var isProgress: Bool { events.isEmpty && !canceled && !created && compactRevision == 0 }
}
