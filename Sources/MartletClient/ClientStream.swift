import EtcdAPI
import HTTP2
import NIOCore

/// One open stream to one member: what is asked and what is answered, in order.
struct ClientStream: Sendable {
    let endpoint: Int
    private let call: GRPCClientCall
    private let messages: GRPCMessages

    init(endpoint: Int, call: GRPCClientCall, messages: GRPCMessages) {
        self.endpoint = endpoint
        self.call = call
        self.messages = messages
    }

    func send(_ message: [UInt8]) { call.send(ByteBuffer(bytes: message)) }

    /// The next message; nil where the server ends the stream and all was well. For one reader at a time.
    func next<Answer: Sendable>(
        _ decode: (UnsafeRawBufferPointer) throws(WireError) -> Answer
    ) async throws(StreamFailure) -> Answer? {
        let message: ByteBuffer?
        do throws(GRPCStatus) {
            var iterator = messages.makeAsyncIterator()
            message = try await iterator.next(isolation: nil)
        } catch {
            throw .lost(error)
        }
        guard let message else { return nil }
        let decoded: Result<Answer, WireError> = message.withUnsafeReadableBytes { raw in
            Result { () throws(WireError) in try decode(raw) }
        }
        do {
            return try decoded.get()
        } catch {
            throw .malformed(error)
        }
    }

    /// Gives the stream up.
    func cancel() { call.cancel() }
}

/// Why a stream brings no more messages.
enum StreamFailure: Error {
    case lost(GRPCStatus)
    case malformed(WireError)

    /// Whether another stream, perhaps at another member, may do better.
    var isPassing: Bool {
        switch self {
        // As etcd's client has it: all other codes are an answer.
        case .lost(let status): status.code == .unavailable || status.code == .internalError
        case .malformed: false
        }
    }

    var error: ClientError {
        switch self {
        case .lost(let status): ClientError(status)
        case .malformed(let error): .malformedAnswer(error)
        }
    }
}

extension EtcdClient {
    /// Opens a stream at the first member that can be connected to, round after round.
    /// - Parameter deadline: when it is given up; nil for never.
    func openStream(
        _ method: EtcdMethod, before deadline: ContinuousClock.Instant?
    ) async throws(ClientError) -> ClientStream {
        var pause = options.retryPause
        while true {
            var failures: [ClientError.EndpointFailure] = []
            for index in pool.order {
                let dialDeadline = deadline ?? .now + options.dialTimeout * 2
                switch await pool.connection(to: index, before: dialDeadline) {
                case .connected(let connection):
                    // Rather no stream than one at a member that has lost its leader and would say nothing.
                    let (call, messages) = connection.stream(
                        method.rawValue,
                        metadata: [("client-api-version", MartletVersion.etcd), ("hasleader", "true")])
                    return ClientStream(endpoint: index, call: call, messages: messages)
                case .failed(let reason): failures.append(.init(endpoint: endpoints[index], reason: reason))
                case .tooLate: failures.append(.init(endpoint: endpoints[index], reason: "no answer"))
                case .closed: throw .closed
                }
            }
            if let deadline, .now + pause >= deadline { throw .unreachable(failures) }
            try await Self.pause(pause)
            pause = min(pause * 2, options.retryPauseMax)
        }
    }

    /// Sleeps; throws where the task is cancelled.
    static func pause(_ duration: Duration) async throws(ClientError) {
        do {
            try await Task.sleep(for: duration)
        } catch {
            throw .canceled
        }
    }
}

extension ClientError {
    /// The caller's task was cancelled: in the words that etcd's client has for it.
    package static let canceled = ClientError.status(.canceled, message: "context canceled")
}
