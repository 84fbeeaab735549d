import EtcdAPI
import Foundation
import HTTP2
import MVCC
import NIOCore
import Raft
import Replica

/// `v3lockpb.Lock` (O1), on any member.
struct LockService: Sendable {
    let context: ServiceContext
    let watches: WatchService

    func register(in methods: inout GRPCMethods) {
        methods.register(.lock, .unary { call, message in lock(call, message) })
        methods.register(.unlock, .unary { call, message in unlock(call, message) })
    }

    private func lock(_ call: GRPCCall, _ message: ByteBuffer) {
        guard context.admitsSize(of: message, for: call) else { return }
        guard let request: V3lockpb_LockRequest = call.decode(message) else { return }
        let line = QueuePrefix(name: request.name)
        let candidacy = Candidacy(call, context, watches.watches(on: call.eventLoop), line, .lock) { won in
            var response = V3lockpb_LockResponse()
            response.header = Etcdserverpb_ResponseHeader(context.header(revision: won.revision.rawValue))
            response.key = Data(won.key)
            call.reply(serializing: response)
        }
        context.withSpace(SpaceQuota.putOverheadBytes + message.readableBytes, for: call) {
            candidacy.begin(lease: LeaseID(request.lease))
        }
    }

    private func unlock(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let request: V3lockpb_UnlockRequest = call.decode(message) else { return }
        guard !request.key.isEmpty else { return call.finish(GRPCStatus(withoutCode: .keyNotProvided)) }
        let delete = Transaction(success: [.delete(DeleteOperation(KeyRange(key: Array(request.key))))])
        context.requests(on: call.eventLoop).commit(delete) { result in
            switch result {
            case .failure(let status): call.finish(status)
            case .success(let answer):
                var response = V3lockpb_UnlockResponse()
                response.header = Etcdserverpb_ResponseHeader(context.header(revision: answer.revision.rawValue))
                call.reply(serializing: response)
            }
        }
    }
}
