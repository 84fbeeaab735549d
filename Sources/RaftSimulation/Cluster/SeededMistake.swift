#if MARTLET_MUTATIONS
    import MVCC
    import RaftCore

    /// The seeded mistakes by name.
    package enum SeededMistake {
        package static let names = RaftCore.Faults.names.map(\.name) + HistoryFaults.names.map(\.name)

        static func named(_ name: String) -> RaftCore.Faults {
            RaftCore.Faults.names.first { $0.name == name }?.fault ?? []
        }

        /// Those in watches, leases and what both rest on.
        static func ofHistories(_ name: String) -> HistoryFaults {
            HistoryFaults.names.first { $0.name == name }?.fault ?? []
        }
    }
#endif
