/// Which leases there are, for the commands that name one.
///
/// No command grants a lease yet, so there is none: a put that names one is refused as etcd refuses an unknown lease.
/// Leases come with commands of their own, the table `leases`, and the rows that this then reads.
struct LeaseDirectory: Sendable {
    func contains(_ id: LeaseID) -> Bool { false }
}
