import EtcdAPI
import Foundation
import MartletClient
import TestSupport
import Testing

extension ClusterTests {
    @Test func `a cluster grows from one to five under load, is rebuilt, and loses nothing`() async throws {
        try await withCluster(members: 1, flags: ["--snapshot-count=500"]) { cluster in
            let first = cluster.members[0]
            let load = CounterLoad(members: [first], name: "growing")
            async let counters = load.run()
            let client = first.client(timeout: .seconds(10))
            do {
                for name in ["m2", "m3", "m4", "m5"] {
                    let began = monotonicNanoseconds()
                    try await cluster.join(name, through: client)
                    print("  \(name) is in after \(secondsText(monotonicNanoseconds() - began))")
                }
                let list = try await client.memberList().members
                #expect(Set(list.map(\.name)) == ["m1", "m2", "m3", "m4", "m5"])
                #expect(list.allSatisfy { !$0.isLearner && !$0.clientUrls.isEmpty })

                // One is replaced: removed, its directory refused, and a new one in its place.
                let leader = try await cluster.leader()
                let follower = try #require(cluster.members.first { $0 !== leader && $0 !== first })
                try await cluster.remove(follower, through: client)
                try await cluster.expectEndOfRemoved(follower)
                try await cluster.join("m6", through: client)

                // The leader goes, asked through another one.
                let second = try await cluster.leader()
                if second !== first {
                    try await cluster.remove(second, through: client)
                } else {
                    _ = try await client.moveLeader(to: try await cluster.id(of: cluster.members[1], by: client))
                    let third = try await cluster.leader()
                    #expect(third === cluster.members[1])
                    try await cluster.remove(third, through: client)
                }
                _ = try await cluster.leader()
                try await client.put("after", "1")
            } catch {
                load.stop.set()
                _ = await counters
                throw error
            }
            load.stop.set()
            let counted = await counters
            print("  \(counted.map(\.acknowledged).reduce(0, +)) writes were acknowledged meanwhile")
            for member in cluster.members {
                let client = member.client()
                try await CounterLoad.check(counted, with: client)
                await client.shutdown()
            }
            _ = try await cluster.waitUntilAgreed()

            // Who joined starts again with the flags it joined with, all of them at once.
            cluster.killAll()
            for member in cluster.members { try cluster.start(member) }
            try await cluster.waitUntilReady()
            try await CounterLoad.check(counted, with: client)
            await client.shutdown()
            #expect(cluster.members.count == 4)
            _ = try await cluster.waitUntilAgreed()
        }
    }

    @Test func `a learner gets everything, answers little, and votes when it is promoted`() async throws {
        try await withCluster(members: 1) { cluster in
            let first = cluster.members[0]
            let client = first.client(timeout: .seconds(10))
            for number in 1...200 { try await client.put("kept/\(number)", "\(number)") }
            let learner = try await cluster.add("m2", through: client, asLearner: true)
            let id = try #require(try await client.memberList().members.first { $0.isLearner }?.id)
            // It is not there yet: nobody waits for it, and it is not promoted.
            try await client.put("kept/201", "201")
            await expectError(.learnerNotReady) { () throws(ClientError) in try await client.memberPromote(id) }
            await expectError(.tooManyLearners) { () throws(ClientError) in
                try await client.memberAdd(peerURLs: ["http://127.0.0.1:1"], asLearner: true)
            }
            await expectError(.peerURLExists) { () throws(ClientError) in
                try await client.memberAdd(peerURLs: [learner.peerURL])
            }
            await expectError(.memberBadURLs) { () throws(ClientError) in
                try await client.memberAdd(peerURLs: ["127.0.0.1:1"])
            }
            await expectError(.memberNotFound) { () throws(ClientError) in try await client.memberRemove(5) }
            await expectError(.badLeaderTransferee) { () throws(ClientError) in try await client.moveLeader(to: id) }

            // Killed again and again while it joins, at first before it can have got anything.
            for round in 0..<4 {
                try cluster.start(learner)
                try await Task.sleep(for: .milliseconds(30 + 60 * round))
                learner.kill()
            }
            try cluster.start(learner)
            try await learner.wait { $0.isLearner && $0.raftAppliedIndex > 200 }
            let own = learner.client()
            var serializable = WireRangeRequest<[UInt8]>(key: Array("kept/201".utf8))
            serializable.serializable = true
            #expect(try await own.range(serializable).kvs.first?.value == Array("201".utf8))
            await expectError(.notSupportedForLearner) { () throws(ClientError) in try await own.get("kept/1") }
            await expectError(.notSupportedForLearner) { () throws(ClientError) in try await own.put("a", "1") }
            await expectError(.notSupportedForLearner) { () throws(ClientError) in try await own.memberList() }
            learner.kill()
            try await client.put("kept/202", "202")
            try cluster.start(learner)
            try await learner.wait { $0.isLearner && $0.raftAppliedIndex > 201 }

            _ = try await cluster.eventually(passing: [.learnerNotReady]) { () throws(ClientError) in
                try await client.memberPromote(id)
            }
            await expectError(.memberNotLearner) { () throws(ClientError) in try await client.memberPromote(id) }
            cluster.include(learner)
            try await cluster.waitUntilReady()
            try await own.put("kept/203", "203")
            await own.shutdown()
            _ = try await cluster.waitUntilAgreed()
            // Of two voters both are needed.
            learner.kill()
            let impatient = first.client(timeout: .seconds(2))
            await #expect(throws: (any Error).self) { try await impatient.put("kept/204", "204") }
            await impatient.shutdown()
            try cluster.start(learner)
            try await cluster.waitUntilReady()
            #expect(try await client.get("kept/203") != nil)
            await client.shutdown()
        }
    }

    @Test func `who joins with something wrong is told what, and leaves nothing behind`() async throws {
        try await withCluster(members: 1) { cluster in
            let first = cluster.members[0]
            let client = first.client(timeout: .seconds(10))
            let stranger = TestMember(
                name: "m2", clientPort: FreePorts.port(), peerPort: FreePorts.port(),
                directory: cluster.directory, executable: TestCluster.executable ?? "")
            let all = "m1=\(first.peerURL),m2=\(stranger.peerURL)"
            cluster.setJoinFlags(of: stranger, initialCluster: all)
            try await cluster.expectRefusal(
                of: stranger,
                saying: ["no member of the cluster", "martlet member add m2 --peer-urls \(stranger.peerURL)"])
            #expect(!FileManager.default.fileExists(atPath: stranger.dataDirectory))

            // The port for clients, in place of the one for members.
            let wrongPort = "m1=http://127.0.0.1:\(first.clientPort),m2=\(stranger.peerURL)"
            try await cluster.expectRefusal(
                of: stranger, replacing: ["--initial-cluster": wrongPort], saying: ["not as a member of a cluster"])

            let added = try await cluster.add("m2", through: client)
            let line = try #require(added.flags().first { $0.hasPrefix("--initial-cluster=") })
            let other = "http://127.0.0.1:\(FreePorts.port())"
            try await cluster.expectRefusal(
                of: added,
                replacing: [
                    "--initial-advertise-peer-urls": other,
                    "--initial-cluster": "m1=\(first.peerURL),m2=\(other)",
                ], saying: ["no member of the cluster", "martlet member add m2 --peer-urls \(other)"])
            #expect(line.contains(added.peerURL))

            // As it was meant.
            try cluster.start(added)
            cluster.include(added)
            try await cluster.waitUntilReady()

            // Its data lost, it is not let in again under its name.
            added.kill()
            try FileManager.default.removeItem(atPath: added.dataDirectory)
            try await cluster.expectRefusal(of: added, saying: ["has been started before", "martlet member remove"])
            cluster.exclude(added)
            await client.shutdown()
        }
    }

    @Test func `a member moves to another address, and the others find it there`() async throws {
        try await withCluster { cluster in
            let (first, third) = (cluster.members[0], cluster.members[2])
            let client = first.client(timeout: .seconds(10))
            let id = try await cluster.id(of: third, by: client)
            let url = "http://127.0.0.1:\(FreePorts.port())"
            third.kill()
            _ = try await cluster.leader()
            _ = try await client.memberUpdate(id, peerURLs: [url])
            let line = try #require(third.flags().first { $0.hasPrefix("--initial-cluster=") })
                .replacing(third.peerURL, with: url).replacing("--initial-cluster=", with: "")
            third.setFlags(
                third.flags(replacing: [
                    "--listen-peer-urls": url, "--initial-advertise-peer-urls": url, "--initial-cluster": line,
                ]) + ["--initial-cluster-state=existing"])
            try cluster.start(third)
            try await cluster.waitUntilReady()
            #expect(try await client.memberList().members.first { $0.id == id }?.peerUrls == [url])
            // It counts at its new place: with it two of three are a majority.
            cluster.members[1].kill()
            _ = try await cluster.leader()
            try await client.put("moved", "1")
            try cluster.start(cluster.members[1])
            try await cluster.waitUntilReady()
            await client.shutdown()
            _ = try await cluster.waitUntilAgreed()
        }
    }

    @Test func `a member that was away when it was removed stops in order when it comes back`() async throws {
        try await withCluster { cluster in
            let (first, third) = (cluster.members[0], cluster.members[2])
            let client = first.client(timeout: .seconds(10))
            let id = try await cluster.id(of: third, by: client)
            third.kill()
            _ = try await cluster.leader()
            try await cluster.eventually(passing: [.unhealthy]) { () throws(ClientError) in
                _ = try await client.memberRemove(id)
            }
            cluster.exclude(third)
            let process = try cluster.start(third)
            #expect(try await process.ending(within: .seconds(30)) == .exited(0))
            #expect(third.log.contains("the member has been permanently removed from the cluster"))
            #expect(third.log.contains("data-dir used by this member must be removed"))
            third.kill()
            try await client.put("still", "here")
            await client.shutdown()
        }
    }

    @Test func `a leader that is stopped in order hands over, and nobody waits for an election timeout`() async throws {
        try await withCluster { cluster in
            _ = try await cluster.waitUntilAgreed()
            let leader = try await cluster.leader()
            let other = try #require(cluster.members.first { $0 !== leader })
            let client = other.client(timeout: .seconds(10))
            try await client.put("before", "1")
            let term = try await client.status().raftTerm
            let process = try #require(leader.process)
            process.send(SIGTERM)
            #expect(try await process.ending(within: .seconds(15)) == .exited(0))
            #expect(leader.log.contains("leadership transfer finished"))
            let began = monotonicNanoseconds()
            try await client.put("after", "1")
            let took = monotonicNanoseconds() - began
            print("  the write after the leader's end took \(secondsText(took))")
            #expect(took < TestCluster.electionTimeoutNanoseconds / 2)
            #expect(try await client.status().raftTerm == term + 1, "one election, by request")
            leader.kill()
            try cluster.start(leader)
            try await cluster.waitUntilReady()
            await client.shutdown()
        }
    }

    private func expectError<Answer>(
        _ expected: EtcdError, sourceLocation: SourceLocation = #_sourceLocation,
        _ ask: () async throws(ClientError) -> Answer
    ) async {
        do throws(ClientError) {
            _ = try await ask()
            Issue.record("no error, where \(expected) was expected", sourceLocation: sourceLocation)
        } catch {
            #expect(error == .etcd(expected), sourceLocation: sourceLocation)
        }
    }
}

extension TestCluster {
    /// A removed member that is started again ends, and says what to do: with an error if its state has the removal, or
    /// in order as soon as another member tells it (what was applied last may not have been written yet).
    fileprivate func expectEndOfRemoved(_ member: TestMember) async throws {
        let process = try start(member)
        let ending = try await process.ending(within: .seconds(20))
        let log = member.log
        member.kill()
        switch ending {
        case .exited(0): #expect(log.contains("the member has been permanently removed from the cluster"))
        case .exited(1): #expect(log.contains("was removed from the cluster"))
        default: Issue.record("a removed member ended with \(ending)")
        }
        #expect(log.contains("martlet member add") && log.contains(member.dataDirectory))
    }

    /// Removes a member that runs: it ends by itself, in order, and says why.
    fileprivate func remove(_ member: TestMember, through client: EtcdClient) async throws {
        let id = try await id(of: member, by: client)
        try await eventually(passing: [.unhealthy]) { () throws(ClientError) in _ = try await client.memberRemove(id) }
        exclude(member)
        guard let process = member.process else { throw ClusterFailure("\(member.name) does not run") }
        let ending = try await process.ending(within: .seconds(20))
        guard ending == .exited(0) else { throw ClusterFailure("\(member.name) ended with \(ending):\n\(member.tail)") }
        guard member.log.contains("the member has been permanently removed from the cluster") else {
            throw ClusterFailure("\(member.name) does not say why it ended:\n\(member.tail)")
        }
        member.kill()
    }
}

extension TestMember {
    func wait(
        within time: Duration = .seconds(20), until isReached: (Etcdserverpb_StatusResponse) -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + time
        var last: Etcdserverpb_StatusResponse?
        while ContinuousClock.now < deadline {
            last = await status()
            if let last, isReached(last) { return }
            try checkRunning()
            try await Task.sleep(for: .milliseconds(20))
        }
        throw ClusterFailure("\(name) is \(last.map { "\($0)" } ?? "silent"); it said:\n\(tail)")
    }
}
