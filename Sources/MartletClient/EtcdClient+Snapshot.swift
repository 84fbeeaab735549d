package import EtcdAPI
import HTTP2
import NIOCore
import SwiftProtobuf

extension EtcdClient {
    /// Asks one member for a snapshot, and hands over its pieces as they come. The server is held back while `take` is
    /// at work; what `take` throws ends the call.
    ///
    /// A stream that was lost is not begun again: it would be another snapshot.
    /// - Parameter limit: how long all of it may take; nil for as long as it takes.
    package func snapshot<Failure: Error>(
        within limit: Duration? = nil, _ take: (Etcdserverpb_SnapshotResponse) throws(Failure) -> Void
    ) async throws(SnapshotFailure<Failure>) {
        var failures: [ClientError.EndpointFailure] = []
        for index in pool.order {
            let deadline = ContinuousClock.now + options.dialTimeout * 2
            switch await pool.connection(to: index, before: deadline) {
            case .connected(let connection): return try await snapshot(over: connection, within: limit, take)
            case .failed(let reason): failures.append(.init(endpoint: pool.endpoints[index], reason: reason))
            case .tooLate: failures.append(.init(endpoint: pool.endpoints[index], reason: "no answer"))
            case .closed: throw .call(.closed)
            }
        }
        throw .call(.unreachable(failures))
    }

    private func snapshot<Failure: Error>(
        over connection: GRPCClientConnection, within limit: Duration?,
        _ take: (Etcdserverpb_SnapshotResponse) throws(Failure) -> Void
    ) async throws(SnapshotFailure<Failure>) {
        let (call, messages) = connection.stream(
            EtcdMethod.snapshot.rawValue, timeout: limit.map(TimeAmount.init),
            metadata: [("client-api-version", MartletVersion.etcd)])
        // The request is empty.
        call.send(ByteBuffer())
        call.halfClose()
        var iterator = messages.makeAsyncIterator()
        while true {
            let message: ByteBuffer?
            do throws(GRPCStatus) {
                message = try await iterator.next(isolation: nil)
            } catch {
                throw .call(ClientError(error))
            }
            guard let message else { return }
            let response: Etcdserverpb_SnapshotResponse
            do {
                response = try Etcdserverpb_SnapshotResponse(serializedBytes: Array(message.readableBytesView))
            } catch {
                call.cancel()
                throw .call(.malformedAnswer(.truncated))
            }
            do throws(Failure) {
                try take(response)
            } catch {
                call.cancel()
                throw .taking(error)
            }
        }
    }
}

/// Why a snapshot did not arrive: the call failed, or whoever took it did not want more.
package enum SnapshotFailure<Taking: Error>: Error {
    case call(ClientError)
    case taking(Taking)
}
