import EtcdAPI
import HTTP2
import MVCC
import NIOCore
import NIOPosix
import Raft
import RaftCore
import Replica
import SwiftProtobuf

/// `etcdserverpb.Maintenance`: status, hashes, alarms, moving the leader, snapshots; nothing to defragment, and nothing
/// to downgrade to.
struct MaintenanceService: Sendable {
    let context: ServiceContext

    /// What is announced to clients: they choose what they may ask by it.
    static let etcdVersion = "3.6.14"
    static let etcdClusterVersion = "3.6.0"

    func register(in methods: inout GRPCMethods) {
        methods.register(.status, .unary { call, _ in status(call) })
        methods.register(.hashKV, .unary { call, message in hashKV(call, message) })
        methods.register(.moveLeader, .unary { call, message in moveLeader(call, message) })
        methods.register(.alarm, .unary { call, message in alarm(call, message) })
        registerWholeState(in: &methods)
        registerDowngrade(in: &methods)
    }

    private func status(_ call: GRPCCall) {
        let status = context.node.published.status
        let view = context.node.published.view
        var response = Etcdserverpb_StatusResponse()
        response.header = Etcdserverpb_ResponseHeader(context.header(revision: view.store.revision.rawValue))
        response.version = Self.etcdVersion
        let sizes = context.sizes.told
        response.dbSize = Int64(sizes.total)
        response.dbSizeInUse = Int64(sizes.inUse)
        response.leader = status.leader?.rawValue ?? 0
        response.raftIndex = status.commit.rawValue
        response.raftTerm = status.term.rawValue
        response.raftAppliedIndex = view.store.applied.index
        response.isLearner = status.isLearner
        response.storageVersion = Self.etcdClusterVersion
        response.dbSizeQuota = Int64(context.limits.quotaBytes ?? 0)
        response.downgradeInfo = Etcdserverpb_DowngradeInfo()
        if status.leader == nil { response.errors.append("etcdserver: no leader") }
        response.errors += view.alarms.map { Self.text(of: $0) }
        call.reply(serializing: response)
    }

    private func hashKV(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let request: Etcdserverpb_HashKVRequest = call.decode(message) else { return }
        // A walk through all of the state: not on an event loop.
        let view = context.node.published.view
        let eventLoop = call.eventLoop
        let revision = Revision(request.revision)
        let held = NIOLoopBound(call, eventLoop: eventLoop)
        context.workers.submit { [context] _ in
            let result: Swift.Result<HashAnswer, ReadError>
            do throws(ReadError) {
                result = .success(try view.store.hash(at: revision))
            } catch {
                result = .failure(error)
            }
            eventLoop.execute {
                let call = held.value
                switch result {
                case .failure(let error): call.finish(context.status(of: error))
                case .success(let answer):
                    var response = Etcdserverpb_HashKVResponse()
                    response.header = Etcdserverpb_ResponseHeader(
                        context.header(revision: view.store.revision.rawValue))
                    response.hash = answer.hash
                    response.compactRevision = answer.compactRevision.rawValue
                    response.hashRevision = answer.hashRevision.rawValue
                    call.reply(serializing: response)
                }
            }
        }
    }
}

extension Etcdserverpb_ResponseHeader {
    init(_ header: WireHeader) {
        self.init()
        clusterID = header.clusterID
        memberID = header.memberID
        revision = header.revision
        raftTerm = header.raftTerm
    }
}
