import EtcdAPI
import HTTP2
import NIOCore
import SwiftProtobuf

// `Downgrade` (M12). etcd's members agree on a lower version ahead, so that older binaries can take over one by one.
// There is no Martlet yet that serves a lower version of etcd's API: no target is one that this cluster could go to, so
// none is validated or enabled, and there is never a downgrade to cancel.
extension MaintenanceService {
    func registerDowngrade(in methods: inout GRPCMethods) {
        methods.register(.downgrade, .unary { call, message in downgrade(call, message) })
    }

    private func downgrade(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let request: Etcdserverpb_DowngradeRequest = call.decode(message) else { return }
        if let refusal = Self.refusal(of: request.action, to: request.version) {
            call.finish(GRPCStatus(refusal))
        } else {
            // etcd's words, for which it has no code.
            call.finish(GRPCStatus(.unknown, "etcdserver: unknown method"))
        }
    }

    /// Nil for an action that there is not.
    static func refusal(
        of action: Etcdserverpb_DowngradeRequest.DowngradeAction, to version: String
    ) -> EtcdError? {
        switch action {
        case .cancel: .noInflightDowngrade
        case .validate, .enable:
            isVersion(version) ? .invalidDowngradeTargetVersion : .invalidDowngradeTargetVersionFormat
        case .UNRECOGNIZED: nil
        }
    }

    /// Two or three numbers with dots between them, as etcd takes them.
    private static func isVersion(_ text: String) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return (2...3).contains(parts.count)
            && parts.allSatisfy { part in
                (1...9).contains(part.utf8.count) && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
            }
    }
}
