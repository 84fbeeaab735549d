import EtcdAPI
import HTTP2
import NIOCore
import Raft
import RaftCore
import SwiftProtobuf

/// `grpc.health.v1.Health`. As in etcd the server as a whole, and no service by name, has a state.
struct HealthService: Sendable {
    let context: ServiceContext

    func register(in methods: inout GRPCMethods) {
        methods.register(.healthCheck, .unary { call, message in check(call, message) })
        methods.register(.healthList, .unary { call, _ in list(call) })
        methods.register(
            .healthWatch, .streaming { call in HealthWatcher(call: call, status: status) })
    }

    private func status() -> Grpc_Health_V1_HealthCheckResponse.ServingStatus {
        context.node.published.status.failure == nil ? .serving : .notServing
    }

    private func check(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let request: Grpc_Health_V1_HealthCheckRequest = call.decode(message) else { return }
        guard request.service.isEmpty else { return call.finish(GRPCStatus(.notFound, "unknown service")) }
        var response = Grpc_Health_V1_HealthCheckResponse()
        response.status = status()
        call.reply(serializing: response)
    }

    /// The server as a whole has no name.
    private func list(_ call: GRPCCall) {
        var response = Grpc_Health_V1_HealthListResponse()
        var whole = Grpc_Health_V1_HealthCheckResponse()
        whole.status = status()
        response.statuses[""] = whole
        call.reply(serializing: response)
    }
}

/// One open health watch: says the state at once, and again whenever it has changed.
private final class HealthWatcher: GRPCStreamReceiver {
    private let call: GRPCCall
    private let status: () -> Grpc_Health_V1_HealthCheckResponse.ServingStatus
    private var last: Grpc_Health_V1_HealthCheckResponse.ServingStatus?
    private var poll: RepeatedTask?

    init(call: GRPCCall, status: @escaping () -> Grpc_Health_V1_HealthCheckResponse.ServingStatus) {
        self.call = call
        self.status = status
    }

    func onMessage(_ message: ByteBuffer) {
        guard poll == nil else { return }
        guard let request: Grpc_Health_V1_HealthCheckRequest = call.decode(message) else { return }
        guard request.service.isEmpty else {
            // The protocol asks for an answer that may change, not for an error.
            return send(.serviceUnknown)
        }
        report()
        let watcher = NIOLoopBound(self, eventLoop: call.eventLoop)
        poll = call.eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in
            watcher.value.report()
        }
    }

    func onHalfClose() {}

    func onCancel() { poll?.cancel() }

    private func report() {
        let now = status()
        if now != last { send(now) }
    }

    private func send(_ status: Grpc_Health_V1_HealthCheckResponse.ServingStatus) {
        last = status
        var response = Grpc_Health_V1_HealthCheckResponse()
        response.status = status
        call.send(serializing: response)
    }
}
