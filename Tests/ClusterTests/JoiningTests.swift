import EtcdAPI
import Foundation
import MartletClient
import TestSupport
import Testing

/// Members that join by themselves: `--join`, `--replace` and autopilot.
extension ClusterTests {
    /// Start one, join two, replace one, lose one, grow to five: the life of a cluster, in one line each.
    @Test func `a cluster lives through its five steps under load, by one line each, and loses nothing`() async throws {
        try await withCluster(members: 1, flags: ["--snapshot-count=500"]) { cluster in
            let first = cluster.members[0]
            let load = CounterLoad(members: [first], name: "living")
            async let counters = load.run()
            let client = first.client(timeout: .seconds(10))
            do {
                // Two at once: there is one place for a learner at a time, and the second waits for it.
                var began = monotonicNanoseconds()
                for name in ["m2", "m3"] { try cluster.startJoining(name, asking: [first]) }
                try await cluster.waitForVoters(["m1", "m2", "m3"], by: client)
                print("  two have joined and vote after \(secondsText(monotonicNanoseconds() - began))")

                // One that runs is replaced: it ends by itself, in order.
                began = monotonicNanoseconds()
                let second = try cluster.member("m2")
                try cluster.startJoining(
                    "m4", asking: [try cluster.member("m3"), first], flags: ["--replace=m2"])
                try await cluster.waitForVoters(["m1", "m3", "m4"], by: client)
                print("  one is replaced after \(secondsText(monotonicNanoseconds() - began))")
                cluster.exclude(second)
                let process = try #require(second.process)
                #expect(try await process.ending(within: .seconds(20)) == .exited(0))
                second.kill()

                // One is lost, and named.
                let third = try cluster.member("m3")
                third.kill()
                _ = try await cluster.leader()
                try await client.put("lost", "1")
                try await cluster.waitForLog("a member does not answer", of: third, within: .seconds(30))

                // And, with it away, two more.
                began = monotonicNanoseconds()
                for name in ["m5", "m6"] { try cluster.startJoining(name, asking: [first]) }
                try await cluster.waitForVoters(["m1", "m3", "m4", "m5", "m6"], by: client)
                print("  two more, with one of three away, after \(secondsText(monotonicNanoseconds() - began))")
                try cluster.start(third)
                try await cluster.waitUntilReady()
            } catch {
                load.stop.set()
                _ = await counters
                throw error
            }
            load.stop.set()
            let counted = await counters
            print("  \(counted.map(\.acknowledged).reduce(0, +)) writes were acknowledged meanwhile")
            for member in cluster.members {
                let own = member.client()
                try await CounterLoad.check(counted, with: own)
                await own.shutdown()
            }
            _ = try await cluster.waitUntilAgreed()

            // Who joined starts again with the flags it joined with, all of them at once: it just starts.
            cluster.killAll()
            for member in cluster.members { try cluster.start(member) }
            try await cluster.waitUntilReady()
            try await CounterLoad.check(counted, with: client)
            #expect(try await client.memberList().members.count == 5)
            await client.shutdown()
            _ = try await cluster.waitUntilAgreed()
        }
    }

    @Test func `a member that is killed while it joins gets the same place when it asks again`() async throws {
        try await withCluster(members: 1) { cluster in
            let first = cluster.members[0]
            let client = first.client(timeout: .seconds(10))
            for number in 1...200 { try await client.put("kept/\(number)", "\(number)") }
            let second = try cluster.startJoining("m2", asking: [first])
            for round in 0..<12 {
                try await Task.sleep(for: .milliseconds(15 * round))
                second.kill()
                try cluster.start(second)
            }
            try await cluster.waitForVoters(["m1", "m2"], by: client)
            #expect(try await client.memberList().members.count == 2)
            try await cluster.waitUntilReady()
            _ = try await cluster.waitUntilAgreed()
            await client.shutdown()
        }
    }

    @Test func `one that lost its data says so, and takes its own place as a new member where it may`() async throws {
        try await withCluster { cluster in
            let (first, third) = (cluster.members[0], cluster.members[2])
            let client = first.client(timeout: .seconds(10))
            try await client.put("kept", "1")
            let before = try await cluster.id(of: third, by: client)
            third.kill()
            try FileManager.default.removeItem(atPath: third.dataDirectory)
            cluster.setJoining(third, asking: [first])
            try await cluster.expectRefusal(of: third, saying: ["has been started before", "--replace m3"])
            #expect(!FileManager.default.fileExists(atPath: third.dataDirectory))

            cluster.setJoining(third, asking: [first], flags: ["--replace=m3"])
            try cluster.start(third)
            try await cluster.waitForVoters(["m1", "m2", "m3"], without: before, by: client)
            try await cluster.waitUntilReady()
            let own = third.client()
            #expect(try await own.get("kept") != nil)
            await own.shutdown()
            // It counts: with it, two of three are a majority. And its flags replace nobody any more.
            third.kill()
            try cluster.start(third)
            try await cluster.waitUntilReady()
            cluster.members[1].kill()
            _ = try await cluster.leader()
            try await client.put("after", "1")
            try cluster.start(cluster.members[1])
            try await cluster.waitUntilReady()
            #expect(try await client.memberList().members.count == 3)
            await client.shutdown()
            _ = try await cluster.waitUntilAgreed()
        }
    }

    @Test func `a member that comes back at another address says so, and the cluster finds it there`() async throws {
        try await withCluster { cluster in
            let (first, third) = (cluster.members[0], cluster.members[2])
            let client = first.client(timeout: .seconds(10))
            third.kill()
            _ = try await cluster.leader()
            let url = "http://127.0.0.1:\(FreePorts.port())"
            let flags = third.flags(replacing: [
                "--listen-peer-urls": url, "--initial-advertise-peer-urls": url, "--initial-cluster": "m3=\(url)",
            ])
            third.setFlags(flags + ["--initial-cluster-state=existing"])
            try cluster.start(third)
            try await cluster.waitUntilReady()
            #expect(third.log.contains("this member has other peer URLs than the cluster has of it"))
            #expect(try await client.memberList().members.first { $0.name == "m3" }?.peerUrls == [url])
            cluster.members[1].kill()
            _ = try await cluster.leader()
            try await client.put("moved", "1")
            try cluster.start(cluster.members[1])
            try await cluster.waitUntilReady()
            await client.shutdown()
            _ = try await cluster.waitUntilAgreed()
        }
    }

    @Test func `a learner that was added by hand stays one`() async throws {
        try await withCluster(members: 1) { cluster in
            let client = cluster.members[0].client(timeout: .seconds(10))
            let learner = try await cluster.add("m2", through: client, asLearner: true)
            try cluster.start(learner)
            try await client.put("a", "1")
            try await learner.wait { $0.isLearner && $0.raftAppliedIndex > 3 }
            // As long as it takes one that joins by itself to vote, and longer.
            try await Task.sleep(for: .seconds(3))
            #expect(try await client.memberList().members.first { $0.name == "m2" }?.isLearner == true)
            learner.kill()
            await client.shutdown()
        }
    }

    @Test func `autopilot removes a dead member where it may, and only as long as enough are left`() async throws {
        let flags = ["--autopilot-remove-dead-after=10s", "--autopilot-min-quorum=3"]
        try await withCluster(members: 1, flags: flags) { cluster in
            let first = cluster.members[0]
            let client = first.client(timeout: .seconds(10))
            for name in ["m2", "m3", "m4"] { try cluster.startJoining(name, asking: [first]) }
            try await cluster.waitForVoters(["m1", "m2", "m3", "m4"], by: client)
            try await cluster.waitUntilReady()
            let fourth = try cluster.member("m4")
            fourth.kill()
            let began = monotonicNanoseconds()
            try await cluster.waitForVoters(["m1", "m2", "m3"], by: client, within: .seconds(40))
            let took = monotonicNanoseconds() - began
            print("  the dead member was removed after \(secondsText(took))")
            #expect(took >= 10_000_000_000)
            cluster.exclude(fourth)

            // Of three, none.
            let third = try cluster.member("m3")
            third.kill()
            try await cluster.waitForLog("autopilot leaves a dead member where it is", of: third, within: .seconds(40))
            #expect(try await client.memberList().members.count == 3)
            try await client.put("still", "here")
            try cluster.start(third)
            try await cluster.waitUntilReady()
            // The one that was removed is told when it comes back.
            let process = try cluster.start(fourth)
            let ending = try await process.ending(within: .seconds(30))
            #expect(ending == .exited(0) || ending == .exited(1))
            fourth.kill()
            await client.shutdown()
            _ = try await cluster.waitUntilAgreed()
        }
    }
}

extension TestCluster {
    func setJoining(_ member: TestMember, asking members: [TestMember], flags extra: [String] = []) {
        let asked = members.map { "127.0.0.1:\($0.clientPort)" }.joined(separator: ",")
        member.setFlags(
            [
                "--name=\(member.name)", "--data-dir=\(member.dataDirectory)",
                "--listen-client-urls=http://127.0.0.1:\(member.clientPort)",
                "--listen-peer-urls=\(member.peerURL)", "--join=\(asked)",
            ] + flags + extra)
    }

    /// One line, and nothing else: the member does the rest.
    @discardableResult
    func startJoining(
        _ name: String, asking members: [TestMember], flags extra: [String] = []
    ) throws -> TestMember {
        let member = TestMember(
            name: name, clientPort: FreePorts.port(), peerPort: FreePorts.port(), directory: directory,
            executable: Self.executable ?? "")
        setJoining(member, asking: members, flags: extra)
        try start(member)
        include(member)
        return member
    }

    func member(_ name: String) throws -> TestMember {
        if let member = members.first(where: { $0.name == name }) { return member }
        throw ClusterFailure("there is no \(name)")
    }

    /// Waits until these, and nobody else, are members and vote.
    /// - Parameter old: whose place one of them has taken.
    func waitForVoters(
        _ names: Set<String>, without old: UInt64? = nil, by client: EtcdClient, within time: Duration = .seconds(40)
    ) async throws {
        let deadline = ContinuousClock.now + time
        var seen = "nothing"
        while ContinuousClock.now < deadline {
            do throws(ClientError) {
                let list = try await client.memberList().members
                if list.allSatisfy({ !$0.isLearner && $0.id != old }), Set(list.map(\.name)) == names { return }
                seen = list.map { "\($0.name)\($0.isLearner ? " (learner)" : "")" }.joined(separator: ", ")
            } catch {
                seen = "\(error)"
            }
            for member in members where names.contains(member.name) { try member.checkRunning() }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw ClusterFailure("not \(names.sorted()) after \(time), but \(seen)")
    }

    /// Waits until a member, whoever leads, has said this of another one.
    fileprivate func waitForLog(_ text: String, of other: TestMember, within time: Duration) async throws {
        let deadline = ContinuousClock.now + time
        while ContinuousClock.now < deadline {
            for member in members where member !== other {
                let lines = member.log.split(separator: "\n")
                if lines.contains(where: { $0.contains(text) && $0.contains("member \(other.name) (") }) { return }
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw ClusterFailure("nobody said \"\(text)\" of \(other.name) within \(time)")
    }
}
