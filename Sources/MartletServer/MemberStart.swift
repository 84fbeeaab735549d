import Logging
import PeerTransport
import RaftCore
import Replica
import WriteAheadLog

/// What a member starts with: its state, who it is, and where the others are.
///
/// Who it is stands in its data directory, as soon as there is a log there: every segment's header names cluster and
/// member (a file of its own could contradict it). The flags say it only on the first start; they could not later: a
/// member's id is made of the peer URLs that it had when it was added, and of the time. So a member can be started with
/// new URLs after `member update`.
struct MemberStart {
    let machine: KeyValueMachine
    let clusterID: UInt64
    let memberID: NodeID
    /// For a member that has not got the cluster's state yet.
    var hints: [PeerAddress] = []

    /// - Parameter found: the cluster to join, where it was asked for already.
    init(
        _ directory: DataDirectory, _ configuration: ServerConfiguration, _ join: any ClusterFinding,
        found: ClusterJoin.Found? = nil
    ) throws {
        let identity = try directory.logIdentity()
        if let machine = try directory.openMachine() {
            self.machine = machine
            do {
                let view = try machine.view
                clusterID = view.clusterID
                if view.members.isEmpty {
                    // It has begun to join, and waits for the state.
                    let found = try Self.joined(view.clusterID, identity?.memberID, configuration, join)
                    memberID = NodeID(found.own.id)
                    hints = found.addresses
                } else {
                    memberID = try Self.member(
                        identity, view, machine.membership, configuration, restoration: machine.restoration)
                }
            } catch {
                machine.close()
                throw error
            }
            return
        }
        switch configuration.initialClusterState {
        case .new:
            machine = try directory.bootstrap(configuration.initialCluster)
            clusterID = configuration.initialCluster.clusterID
            memberID = configuration.ownMember.id
        case .existing:
            let found = try found ?? join.find(isPrepared: false)
            machine = try directory.prepareToJoin(clusterID: found.clusterID)
            clusterID = found.clusterID
            memberID = NodeID(found.own.id)
            hints = found.addresses
        }
    }

    /// The cluster that this directory was made to join, as its members tell of it now.
    private static func joined(
        _ clusterID: UInt64, _ memberID: NodeID?, _ configuration: ServerConfiguration, _ join: any ClusterFinding
    ) throws(ConfigurationError) -> ClusterJoin.Found {
        let found = try join.find(isPrepared: true)
        let id = memberID ?? NodeID(found.own.id)
        guard found.clusterID == clusterID, found.own.id == id.rawValue else {
            throw ConfigurationError(
                "the data directory \(configuration.dataDirectory) was made to join the cluster \(hex(clusterID)) as "
                    + "member \(hex(id.rawValue)), but the members of --initial-cluster know this one as member "
                    + "\(hex(found.own.id)) of the cluster \(hex(found.clusterID)); to join that one, use an empty "
                    + "directory")
        }
        return found
    }

    /// Which of the cluster's members this directory is, and that the flags do not speak of another one.
    private static func member(
        _ identity: (clusterID: UInt64, memberID: NodeID)?, _ view: ReplicaView, _ membership: ReplicaMembership,
        _ configuration: ServerConfiguration, restoration: Restoration?
    ) throws(ConfigurationError) -> NodeID {
        let own = configuration.ownMember
        // A first start that was cut off leaves no log: then the flags are those of the first start.
        let id = identity?.memberID ?? own.id
        if membership.removed.contains(id) {
            throw ConfigurationError(
                "member \(hex(id.rawValue)) was removed from the cluster \(hex(view.clusterID)), and its data "
                    + "directory \(configuration.dataDirectory) is of no use any more; to take part again, add the "
                    + "member anew (martlet member add \(configuration.name) --peer-urls "
                    + own.peerURLs.map(\.description).joined(separator: ",")
                    + ") and start it with an empty directory and --initial-cluster-state existing")
        }
        let row = view.members.first { $0.id == id }
        let isOwn =
            switch configuration.initialClusterState {
            // Where the cluster was made, or is said to be made, with these flags.
            // A cluster that was restored has an id of its own, which its flags do not say.
            case .new:
                id == own.id
                    && (restoration?.initialClusterID ?? view.clusterID) == configuration.initialCluster.clusterID
            // It may have another name, or other URLs, since; not both.
            case .existing:
                row.map {
                    $0.name == configuration.name || Set($0.peerURLs) == Set(own.peerURLs.map(\.description))
                } ?? false
            }
        guard row != nil, isOwn else {
            let members = view.members.map { hex($0.id.rawValue) }.joined(separator: ", ")
            throw ConfigurationError(
                "the data directory \(configuration.dataDirectory) belongs to another member or cluster (cluster "
                    + "\(hex(view.clusterID)), members \(members)"
                    + (identity == nil ? "" : ", of which it is \(hex(id.rawValue))")
                    + "), not to member \(hex(own.id.rawValue)) "
                    + "\"\(configuration.name)\"; use its own --data-dir, or the --name, --initial-cluster and "
                    + "--initial-cluster-token it was made with; a member that was added later, or was given other "
                    + "peer URLs, is started with --initial-cluster-state existing")
        }
        return id
    }
}
