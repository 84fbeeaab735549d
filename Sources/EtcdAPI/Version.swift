/// The versions that this program tells.
package enum MartletVersion {
    /// Our own.
    package static let martlet = "0.1.0"
    /// The etcd whose API, errors and semantics are spoken. Clients and programs that start an etcd look at it.
    package static let etcd = "3.6.14"
    /// The cluster version that goes with it.
    package static let etcdCluster = "3.6.0"
}
