import EtcdAPI
import Foundation
import HTTP2
import MVCC
import NIOCore
import Raft
import Replica
import SwiftProtobuf

/// `etcdserverpb.Lease` (L1 to L11), on any member. How renewals go is in `LeaseRenewals`; when leases end is the
/// leader's affair (`Replica.Lessor`).
struct LeaseService: Sendable {
    let context: ServiceContext
    /// What is granted at least, in seconds (L2).
    let ttlMin: Int64

    init(context: ServiceContext, electionTicks: Int, tickNanoseconds: UInt64) {
        self.context = context
        ttlMin = Self.ttlMin(electionTicks: electionTicks, tickNanoseconds: tickNanoseconds)
    }

    /// As etcd counts: whole ticks, then whole seconds.
    static func ttlMin(electionTicks: Int, tickNanoseconds: UInt64) -> Int64 {
        let nanoseconds = UInt64(3 * electionTicks / 2) * tickNanoseconds
        return Int64((nanoseconds + 999_999_999) / 1_000_000_000)
    }

    func register(in methods: inout GRPCMethods) {
        methods.register(.leaseGrant, .unary { call, message in grant(call, message) })
        methods.register(.leaseRevoke, .unary { call, message in revoke(call, message) })
        methods.register(
            .leaseKeepAlive, .streaming { call in KeepAliveStream(call: call, context: context) })
        methods.register(.leaseTimeToLive, .unary { call, message in timeToLive(call, message) })
        methods.register(.leaseLeases, .unary { call, message in leases(call, message) })
    }

    // MARK: Writes

    private func grant(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let request: Etcdserverpb_LeaseGrantRequest = call.decode(message) else { return }
        guard request.ttl <= Lease.ttlMax else {
            // As in etcd, which finds it out when it applies the grant.
            let isCorrupt = context.node.published.view.alarms.contains { $0.kind == .corrupt }
            return call.finish(GRPCStatus(isCorrupt ? RequestError.corruptCluster : .leaseTTLTooLarge))
        }
        context.withSpace(SpaceQuota.leaseBytes, for: call) {
            grant(LeaseID(request.id), ttl: max(request.ttl, ttlMin), to: call)
        }
    }

    private func grant(_ asked: LeaseID, ttl: Int64, to call: GRPCCall) {
        let id = asked == .none ? LeaseID(Int64.random(in: 1...Int64.max)) : asked
        propose(.grant(id, ttl: ttl), for: call) { outcome in
            switch outcome.result {
            case .granted(let lease):
                var response = Etcdserverpb_LeaseGrantResponse()
                response.header = Etcdserverpb_ResponseHeader(context.header(revision: outcome.revision.rawValue))
                response.id = lease.id.rawValue
                response.ttl = lease.ttl
                call.reply(serializing: response)
            // A name that nobody asked for is taken: another one.
            case .failed(.leaseExists) where asked == .none: grant(asked, ttl: ttl, to: call)
            case .failed(let error): call.finish(GRPCStatus(error))
            default: call.finish(.anotherKind)
            }
        }
    }

    private func revoke(_ call: GRPCCall, _ message: ByteBuffer) {
        let id: LeaseID
        do {
            id = LeaseID(try message.withUnsafeReadableBytes { try WireNumberRequest(decoding: $0) }.number)
        } catch {
            return call.finish(.undecodable(error))
        }
        propose(.revoke(id), for: call) { outcome in
            switch outcome.result {
            case .revoked:
                call.reply(
                    encoding: WireHeaderOnlyResponse(header: context.header(revision: outcome.revision.rawValue)))
            case .failed(let error): call.finish(GRPCStatus(error))
            default: call.finish(.anotherKind)
            }
        }
    }

    private func propose(_ command: LeaseCommand, for call: GRPCCall, _ done: @escaping (LeaseOutcome) -> Void) {
        context.requests(on: call.eventLoop).propose(command) { result in
            switch result {
            case .success(.lease(let outcome)): done(outcome)
            case .success: call.finish(.anotherKind)
            case .failure(let failure): call.finish(GRPCStatus(failure))
            }
        }
    }

    // MARK: Reads

    private func timeToLive(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let request: Etcdserverpb_LeaseTimeToLiveRequest = call.decode(message) else { return }
        read(for: call) { store throws(StateError) in
            let id = LeaseID(request.id)
            var response = Etcdserverpb_LeaseTimeToLiveResponse()
            response.header = Etcdserverpb_ResponseHeader(context.header(revision: store.revision.rawValue))
            response.id = request.id
            response.ttl = -1
            if let lease = try store.lease(id) {
                response.ttl = Int64(lease.deadline.milliseconds(since: context.leaseClock.estimate) / 1_000)
                response.grantedTtl = lease.ttl
                if request.keys { response.keys = try store.keys(of: id).map { Data($0) } }
            }
            call.reply(serializing: response)
        }
    }

    private func leases(_ call: GRPCCall, _ message: ByteBuffer) {
        read(for: call) { store throws(StateError) in
            var response = Etcdserverpb_LeaseLeasesResponse()
            response.header = Etcdserverpb_ResponseHeader(context.header(revision: store.revision.rawValue))
            // Those that end first come first, as in etcd.
            let leases = try store.leases.sorted { ($0.deadline, $0.id) < ($1.deadline, $1.id) }
            response.leases = leases.map { lease in
                var status = Etcdserverpb_LeaseStatus()
                status.id = lease.id.rawValue
                return status
            }
            call.reply(serializing: response)
        }
    }

    private func read(for call: GRPCCall, _ body: @escaping (ReadView) throws(StateError) -> Void) {
        context.requests(on: call.eventLoop).read { result in
            switch result {
            case .success(let view):
                guard !call.isCancelled else { return }
                do throws(StateError) {
                    try body(view.store)
                } catch {
                    call.finish(context.status(of: .state(error)))
                }
            case .failure(let failure): call.finish(GRPCStatus(failure))
            }
        }
    }
}

/// One client's keep-alives: many leases on one stream, answered in the order in which they were asked.
private final class KeepAliveStream: GRPCStreamReceiver {
    /// A client renews all of its leases at once, and may have many.
    private static let openMax = 65_536
    /// Answers that the client has not taken.
    private static let pendingBytesMax = 4 << 20

    private let call: GRPCCall
    private let context: ServiceContext
    /// What was asked and not answered, oldest first; nil until its answer is known.
    private var open: [WireLeaseKeepAliveResponse?] = []
    /// How many of them, from the front, have been answered.
    private var answered = 0
    /// The number of the first of `open`.
    private var firstNumber = 0
    private var isHalfClosed = false

    init(call: GRPCCall, context: ServiceContext) {
        self.call = call
        self.context = context
    }

    func onMessage(_ message: ByteBuffer) {
        let id: Int64
        do {
            id = try message.withUnsafeReadableBytes { try WireNumberRequest(decoding: $0) }.number
        } catch {
            return call.finish(.undecodable(error))
        }
        guard open.count - answered < Self.openMax, call.pendingBytes <= Self.pendingBytesMax else {
            return call.finish(GRPCStatus(RequestFailure.tooManyRequests))
        }
        if call.metadata("hasleader") == "true", context.node.published.status.leader == nil {
            return call.finish(GRPCStatus(RequestFailure.noLeader))
        }
        let number = firstNumber + open.count
        open.append(nil)
        context.requests(on: call.eventLoop).renewals.renew(LeaseID(id)) { [self] result in
            switch result {
            case .success(let renewal):
                completed(
                    number,
                    WireLeaseKeepAliveResponse(
                        header: context.header(revision: renewal.revision.rawValue), id: id, ttl: renewal.ttl))
            // Who waited in vain for a leader is told so (L10).
            case .failure(.noLeader), .failure(.timedOutWithoutLeader):
                call.finish(GRPCStatus(RequestFailure.noLeader))
            case .failure(let failure): call.finish(GRPCStatus(failure))
            }
        }
    }

    func onHalfClose() {
        isHalfClosed = true
        finishIfDone()
    }

    func onCancel() {}

    private func completed(_ number: Int, _ answer: WireLeaseKeepAliveResponse) {
        guard !call.isCancelled else { return }
        open[number - firstNumber] = answer
        while answered < open.count, let answer = open[answered] {
            call.send(encoding: answer)
            answered += 1
        }
        // In one piece now and then, so that a long queue is not moved for each answer.
        if answered == open.count || answered >= 1_024 {
            open.removeFirst(answered)
            firstNumber += answered
            answered = 0
        }
        finishIfDone()
    }

    private func finishIfDone() {
        if isHalfClosed, answered == open.count { call.finish(.ok) }
    }
}
