/// The flags of where a member's state is kept. They are Martlet's own.
extension ServerFlags {
    static let storage: [ServerFlag] = [
        flag(
            "engine", .storage, .value("lmdb|rocksdb|memory"), default: EngineChoice.lmdb.rawValue,
            "What keeps this member's state: lmdb, fastest to read; rocksdb, smallest on disk; or memory, all of it in "
                + "memory with a journal on disk. Nothing is lost with any of them, members of one cluster may differ, "
                + "and a member that is restarted with another one brings its state over: Documentation/engines.md."
        ) { (draft, text) throws(ConfigurationError) in
            guard let engine = EngineChoice(rawValue: text) else {
                throw ConfigurationError("there is no engine \"\(text)\"; choose lmdb, rocksdb or memory")
            }
            draft.configuration.engine = engine
        }
    ]
}
