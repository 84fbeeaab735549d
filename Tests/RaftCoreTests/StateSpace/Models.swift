@testable import RaftCore

extension Model {
    private static func make(_ name: String, _ configure: (inout Model) -> Void) -> Model {
        var model = Model(name: name)
        configure(&model)
        return model
    }

    /// What is explored without mistakes: all of it must be sound.
    static let sound: [Model] = [
        make("one election, two members, slow disks") {
            $0.members = 2
            $0.voters = [1, 2]
            $0.slowDisks = [1, 2]
            $0.termMax = 2
            $0.proposals = 1
            $0.crashes = 1
        },
        make("one election, three members, prompt disks") {
            $0.slowDisks = []
            $0.termMax = 2
            $0.proposals = 1
            $0.crashes = 1
        },
        make("two members, slow disks") {
            $0.members = 2
            $0.voters = [1, 2]
            $0.slowDisks = [1, 2]
            $0.termMax = 3
            $0.proposals = 1
            $0.crashes = 2
        },
        make("three members, prompt disks") {
            $0.slowDisks = []
            $0.termMax = 3
            $0.proposals = 1
            $0.crashes = 1
        },
        make("three members, slow disks") {
            $0.termMax = 2
            $0.proposals = 1
            $0.crashes = 1
        },
        make("a slow disk of three") {
            $0.slowDisks = [3]
            $0.termMax = 3
            $0.proposals = 0
            $0.crashes = 1
        },
        make("pre-vote and quorum checks") {
            $0.preVote = true
            $0.checkQuorum = true
            $0.ticks = 3
            $0.slowDisks = []
            $0.termMax = 2
            $0.proposals = 1
            $0.crashes = 0
        },
        make("reads") {
            $0.slowDisks = []
            $0.termMax = 3
            $0.proposals = 1
            $0.crashes = 0
            $0.reads = 1
            $0.ticks = 1
            $0.forwardsReads = true
        },
        make("leadership transfer") {
            $0.slowDisks = [1]
            $0.termMax = 3
            $0.proposals = 1
            $0.crashes = 0
            $0.transfers = 1
        },
        make("snapshots") {
            $0.slowDisks = [2]
            $0.termMax = 3
            $0.proposals = 0
            $0.crashes = 1
            $0.compactions = 1
            $0.ticks = 1
        },
        make("voters 1, 2, 3 become 3 alone") {
            $0.slowDisks = []
            $0.termMax = 3
            $0.proposals = 1
            $0.crashes = 0
            $0.appliesLate = true
            $0.change = ConfigurationChange(
                changes: [MemberChange(.remove, NodeID(1)), MemberChange(.remove, NodeID(2))])
        },
        make("voter 1 becomes 2 and 3, by a snapshot") {
            $0.voters = [1]
            $0.slowDisks = []
            $0.termMax = 3
            $0.proposals = 1
            $0.crashes = 1
            $0.stateMaySurvive = true
            $0.appliesLate = true
            $0.ticks = 1
            $0.change = ConfigurationChange(
                changes: [
                    MemberChange(.addVoter, NodeID(2)), MemberChange(.addVoter, NodeID(3)),
                    MemberChange(.remove, NodeID(1)),
                ])
        },
        // "A log entry is stored on a majority of servers, and still can be overwritten": figure 8 as it stands at (c),
        // before member 1, back again, replicates its entry of term 2.
        make("figure 8") {
            $0.slowDisks = []
            $0.logs = [[2], [], [3]]
            $0.terms = [3, 3, 3]
            $0.termMax = 5
            $0.proposals = 0
            $0.crashes = 1
            $0.maxMessageBytes = 0
        },
    ]

    /// Each with one mistake, in a world that is just large enough for it to show. Only what follows from the mistake
    /// is looked for, not the broken promise itself.
    static func mistaken(_ mistake: Mistake) -> Model {
        make(mistake.rawValue) {
            $0.mistakes = [mistake]
            $0.checksPromises = false
            $0.slowDisks = []
            $0.proposals = 0
            $0.crashes = 0
            switch mistake {
            case .diskLies, .crashForgetsVote: ($0.termMax, $0.crashes) = (2, 1)
            case .crashLosesLastEntry: $0.crashes = 1
            case .changesWithoutJoint:
                $0.proposals = 1
                $0.appliesLate = true
                $0.change = ConfigurationChange(
                    changes: [MemberChange(.remove, NodeID(1)), MemberChange(.remove, NodeID(2))])
            case .snapshotLacksEntry: ($0.termMax, $0.compactions, $0.ticks) = (2, 1, 1)
            case .heartbeatTellsWholeCommit:
                ($0.logs, $0.terms, $0.ticks) = ([[], [], [2]], [2, 2, 2], 1)
            case .appendNotCompared: ($0.logs, $0.terms, $0.termMax) = ([[3], [3], [2]], [3, 3, 3], 4)
            case .votesForAnyLog: break
            }
        }
    }

    static func faulty(_ fault: CoreFault) -> Model {
        make(fault.rawValue) {
            $0.faults = [fault]
            $0.checksPromises = false
            $0.slowDisks = []
            $0.proposals = 0
            $0.crashes = 0
            switch fault {
            case .answersBeforePersisting: ($0.slowDisks, $0.termMax, $0.crashes) = ([2], 2, 1)
            case .commitsOlderTermsByCount:
                ($0.logs, $0.terms, $0.termMax, $0.maxMessageBytes) = ([[2], [], [3]], [3, 3, 3], 5, 0)
            case .readIndexWithoutQuorumRound: $0.reads = 1
            case .grantsVoteTwice: $0.termMax = 2
            case .asksForVotesBeforePersisting: ($0.slowDisks, $0.crashes) = ([3], 1)
            }
        }
    }

    /// Too large to explore: for random walks.
    static let large: [Model] = [
        make("three members") {
            $0.termMax = 12
            $0.proposals = 8
            $0.crashes = 6
            $0.reads = 4
            $0.ticks = 1
            $0.forwardsReads = true
            $0.compactions = 3
            $0.transfers = 3
        },
        make("three members, all options, entries applied late") {
            $0.preVote = true
            $0.checkQuorum = true
            $0.termMax = 12
            $0.proposals = 8
            $0.crashes = 6
            $0.reads = 4
            $0.ticks = 15
            $0.forwardsReads = true
            $0.compactions = 3
            $0.transfers = 3
            $0.appliesLate = true
            $0.stateMaySurvive = true
            $0.maxMessageBytes = 0
        },
        make("members change") {
            $0.members = 4
            $0.voters = [1, 2, 3]
            $0.slowDisks = [1, 2, 3, 4]
            $0.termMax = 12
            $0.proposals = 6
            $0.crashes = 4
            $0.reads = 2
            $0.ticks = 1
            $0.compactions = 2
            $0.appliesLate = true
            $0.stateMaySurvive = true
            $0.change = ConfigurationChange(
                changes: [MemberChange(.addVoter, NodeID(4)), MemberChange(.remove, NodeID(2))])
        },
    ]
}
