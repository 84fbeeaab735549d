import Testing

@testable import RaftCore

@Suite struct `Configuration changes, by upstream's cases` {
    @Test(
        .enabled(if: TestData.isPresent, Comment(rawValue: TestData.absence)),
        arguments: TestData.files(in: "confchange/testdata"))
    func `every case comes out to the letter`(file: String) throws {
        let cases = try TestData.cases(in: file)
        #expect(!cases.isEmpty)
        let options = RaftCore.Options(id: NodeID(1), randomSeed: 1)
        var configuration = Configuration()
        var leader = LeaderState(peers: [], pendingConfigurationIndex: .zero)
        for (round, each) in cases.enumerated() {
            var changer = ConfigurationChanger(configuration)
            var output: String
            let changes = try parseMemberChanges(each.input)
            try each.require(arguments: each.command == "enter-joint" ? ["autoleave"] : [])
            do {
                switch each.command {
                case "simple": try changer.simple(changes)
                case "enter-joint":
                    try changer.enterJoint(leavesAutomatically: each.flag("autoleave") ?? false, changes)
                case "leave-joint": try changer.leaveJoint()
                default: throw ScenarioError("\(file):\(each.line): unknown command \(each.command)")
                }
                configuration = changer.configuration
                leader.reconcile(
                    with: configuration, fresh: changer.fresh, lastIndex: LogIndex(UInt64(round)), limits: options)
                output = configuration.rendered
                for peer in leader.peers { output += "\n" + RaftCore.PeerStatus(peer).rendered }
            } catch let error as ConfigurationRefusal {
                output = error.description
            }
            #expect(output == each.expected, "\(file):\(each.line)")
        }
    }
}
