internal import StorageEngine

extension ReadView {
    /// nil if there is none of that name.
    package func lease(_ id: LeaseID) throws(StateError) -> Lease? { try LeaseRow.lease(id, in: layers) }

    /// The keys that are attached to a lease, in their order.
    package func keys(of id: LeaseID) throws(StateError) -> [[UInt8]] { try LeaseRow.keys(of: id, in: layers) }

    /// All leases by ascending id.
    package var leases: [Lease] {
        get throws(StateError) {
            var leases: [Lease] = []
            try LeaseRow.forEachLease(in: layers) { leases.append($0) }
            return leases
        }
    }
}
