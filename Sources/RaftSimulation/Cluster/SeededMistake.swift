#if MARTLET_MUTATIONS
    import RaftCore

    /// The seeded mistakes by name.
    package enum SeededMistake {
        package static let names = RaftCore.Faults.names.map(\.name)

        static func named(_ name: String) -> RaftCore.Faults {
            RaftCore.Faults.names.first { $0.name == name }?.fault ?? []
        }
    }
#endif
