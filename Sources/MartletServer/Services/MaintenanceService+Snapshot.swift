import EtcdAPI
import HTTP2
import MVCC
import NIOCore
import NIOPosix
import Raft
import Replica
import SwiftProtobuf

// What goes through the whole state, or would: snapshots, hashes, defragmenting.
extension MaintenanceService {
    func registerWholeState(in methods: inout GRPCMethods) {
        methods.register(
            .snapshot, .streaming { [context] call in SnapshotCall(call, context: context, limits: SnapshotLimits()) })
        methods.register(.hash, .unary { call, _ in hash(call) })
        methods.register(.defragment, .unary { call, message in defragment(call, message) })
    }

    /// A checksum of all rows of this member's state: as in etcd it says something of this member at this moment, and
    /// is not for members to compare (`HashKV` is).
    private func hash(_ call: GRPCCall) {
        let view = context.node.published.view.store
        let eventLoop = call.eventLoop
        let held = NIOLoopBound(call, eventLoop: eventLoop)
        context.workers.submit { [context] _ in
            let result: Swift.Result<UInt32, StateError>
            do throws(StateError) {
                result = .success(try StateRows.checksum(of: view))
            } catch {
                result = .failure(error)
            }
            eventLoop.execute {
                let call = held.value
                switch result {
                case .failure(let error): call.finish(context.status(of: .state(error)))
                case .success(let hash):
                    var response = Etcdserverpb_HashResponse()
                    response.header = Etcdserverpb_ResponseHeader(context.header(revision: view.revision.rawValue))
                    response.hash = hash
                    call.reply(serializing: response)
                }
            }
        }
    }

    /// There is nothing to stop for. What deletes and compaction free is used again by the writes that follow; the
    /// engine's file keeps its size, and this does not change it (Documentation/formats/lmdb-engine.md). Jobs that
    /// defragment by the clock go on working, so it is no error.
    private func defragment(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let _: Etcdserverpb_DefragmentRequest = call.decode(message) else { return }
        // Without a header, as etcd's (M10).
        call.reply(serializing: Etcdserverpb_DefragmentResponse())
    }
}
