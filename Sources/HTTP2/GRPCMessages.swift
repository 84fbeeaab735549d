package import NIOCore
internal import Synchronization

/// The messages of a streaming call, as they are read. Ends when the server ends the call well, throws its status
/// otherwise. Holds so many bytes; then the server is held back. For one reader at a time.
package struct GRPCMessages: AsyncSequence, Sendable {
    package typealias Element = ByteBuffer
    package typealias Failure = GRPCStatus

    let reader: Reader

    init(bytesMax: Int) { reader = Reader(bytesMax: bytesMax) }

    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(reader: reader) }

    package struct AsyncIterator: AsyncIteratorProtocol {
        let reader: Reader

        package mutating func next() async throws -> ByteBuffer? { try await reader.next() }

        package mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(GRPCStatus) -> ByteBuffer? { try await reader.next() }
    }

    final class Reader: GRPCClientStreamHandler {
        private struct State {
            var messages = CircularBuffer<ByteBuffer>()
            var bytes = 0
            var isPaused = false
            var status: GRPCStatus?
            var waiting: CheckedContinuation<Result<ByteBuffer?, GRPCStatus>, Never>?
            var call: GRPCClientCall?
        }
        private let state = Mutex(State())
        private let bytesMax: Int

        init(bytesMax: Int) { self.bytesMax = bytesMax }

        func attach(_ call: GRPCClientCall) {
            state.withLock { $0.call = call }
        }

        func onMessage(_ message: ByteBuffer) {
            let (waiting, pause) = state.withLock { state in
                if let waiting = state.waiting {
                    state.waiting = nil
                    return (Optional(waiting), GRPCClientCall?.none)
                }
                state.messages.append(message)
                state.bytes += message.readableBytes
                guard state.bytes > bytesMax, !state.isPaused else { return (nil, nil) }
                state.isPaused = true
                return (nil, state.call)
            }
            waiting?.resume(returning: .success(message))
            pause?.pauseReading()
        }

        func onEnd(_ status: GRPCStatus) {
            let waiting = state.withLock { state in
                state.status = status
                state.call = nil
                defer { state.waiting = nil }
                return state.waiting
            }
            waiting?.resume(returning: status.code == .ok ? .success(nil) : .failure(status))
        }

        func next() async throws(GRPCStatus) -> ByteBuffer? {
            let result = await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    take(continuation)
                }
            } onCancel: {
                // Read outside of the lock's closure: cancelling ends the call, which takes the lock.
                let call = state.withLock { $0.call }
                call?.cancel()
            }
            return try result.get()
        }

        private func take(_ continuation: CheckedContinuation<Result<ByteBuffer?, GRPCStatus>, Never>) {
            enum Step {
                case message(ByteBuffer, resume: GRPCClientCall?)
                case end(GRPCStatus)
                case wait
            }
            let step: Step = state.withLock { state in
                if let message = state.messages.popFirst() {
                    state.bytes -= message.readableBytes
                    guard state.isPaused, state.bytes <= bytesMax / 2 else { return .message(message, resume: nil) }
                    state.isPaused = false
                    return .message(message, resume: state.call)
                }
                if let status = state.status { return .end(status) }
                precondition(state.waiting == nil, "two readers of one call's messages")
                state.waiting = continuation
                return .wait
            }
            switch step {
            case .message(let message, let call):
                if let call { call.eventLoop.execute { call.resumeReading() } }
                continuation.resume(returning: .success(message))
            case .end(let status):
                continuation.resume(returning: status.code == .ok ? .success(nil) : .failure(status))
            case .wait: break
            }
        }
    }
}
