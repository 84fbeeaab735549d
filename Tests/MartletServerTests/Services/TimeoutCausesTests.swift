import EtcdAPI
import HTTP2
import Raft
import RaftCore
import Testing

@testable import MartletServer

@Suite struct TimeoutCausesTests {
    private static let second: UInt64 = 1_000_000_000
    private static let own = NodeID(1)
    private static let voters = [NodeID(1), NodeID(2), NodeID(3)]

    /// The request began at 93 to 94 s: it is noticed late by up to one.
    private func cause(
        leaderSince: UInt64, leader: NodeID?, connectedSince: [NodeID: UInt64], _ failure: RequestFailure = .timedOut
    ) -> RequestFailure {
        let causes = TimeoutCauses(
            own: Self.own, requestNanoseconds: 7 * Self.second, electionNanoseconds: Self.second,
            connectedSince: { connectedSince[$0].map { $0 * Self.second } })
        causes.leaderChanged(to: NodeID(2), at: leaderSince * Self.second)
        causes.leaderChanged(to: nil, at: 99 * Self.second)
        return causes.told(failure, now: 101 * Self.second, leader: leader, voters: Self.voters)
    }

    @Test(arguments: [
        (89, false), (92, false), (93, false), (94, true), (95, true), (96, false), (100, false),
    ] as [(UInt64, Bool)])
    func `a leader that was found soon after says that the one before had failed`(since: UInt64, isCause: Bool) {
        let cause = cause(leaderSince: since, leader: NodeID(2), connectedSince: [NodeID(2): 1])
        #expect(cause == (isCause ? .timedOutByLeaderFailure : .timedOut))
    }

    @Test func `a connection to the leader that is younger than the request was lost`() {
        for (since, expected) in [
            (nil, .timedOutByLostConnection), (97, .timedOutByLostConnection), (93, .timedOut), (1, .timedOut),
        ] as [(UInt64?, RequestFailure)] {
            #expect(cause(leaderSince: 1, leader: NodeID(2), connectedSince: [NodeID(2): since].compactMapValues { $0 })
                == expected)
        }
    }

    @Test func `a leader wants a majority that it was connected to`() {
        for (connected, expected) in [
            ([:], .timedOutByLostConnection), ([NodeID(2): 97, NodeID(3): 98], .timedOutByLostConnection),
            ([NodeID(2): 97, NodeID(3): 1], .timedOut),
        ] as [([NodeID: UInt64], RequestFailure)] {
            #expect(cause(leaderSince: 1, leader: Self.own, connectedSince: connected) == expected)
        }
    }

    @Test func `without a leader, and before there was one, it is the time alone`() {
        #expect(cause(leaderSince: 1, leader: nil, connectedSince: [:]) == .timedOut)
        let fresh = TimeoutCauses(own: Self.own, requestNanoseconds: 7, electionNanoseconds: 1) { _ in nil }
        #expect(fresh.told(.timedOut, now: 3, leader: nil, voters: Self.voters) == .timedOut)
    }

    @Test func `other failures stay what they are`() {
        for failure in [RequestFailure.noLeader, .leaderChanging, .tooManyRequests, .stopped, .timedOutWithoutLeader] {
            #expect(cause(leaderSince: 95, leader: NodeID(2), connectedSince: [:], failure) == failure)
        }
    }

    @Test func `each failure has etcd's words`() {
        for (failure, error) in [
            (.noLeader, .noLeader), (.leaderChanging, .leaderChanged), (.tooManyRequests, .tooManyRequests),
            (.timedOut, .timeout), (.timedOutWithoutLeader, .timeout),
            (.timedOutByLeaderFailure, .timeoutDueToLeaderFail),
            (.timedOutByLostConnection, .timeoutDueToConnectionLost), (.notMember, .stopped), (.stopped, .stopped),
        ] as [(RequestFailure, EtcdError)] {
            #expect(GRPCStatus(failure) == GRPCStatus(error))
        }
    }
}

@Suite struct SlotsTests {
    @Test func `what was taken out at once is not found again, and its places are free`() {
        var slots = Slots<String>()
        let tokens = ["a", "b", "c"].map { slots.insert($0) }
        #expect(slots.remove(tokens[1]) == "b")
        #expect(slots.removeAll() == ["a", "c"])
        #expect(slots.count == 0)
        for token in tokens { #expect(slots.remove(token) == nil) }
        let again = slots.insert("d")
        #expect(!tokens.contains(again))
        #expect(slots.remove(again) == "d")
    }
}
