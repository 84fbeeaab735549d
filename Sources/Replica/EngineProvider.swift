package import StorageEngine

/// Where a member's engine lives, and how a received snapshot takes its place.
package protocol EngineProvider: AnyObject, Sendable {
    /// Opens the current engine, making an empty one where there is none. What an interrupted installation left is
    /// cleared away.
    func openCurrent() throws -> any StorageEngine
    /// An empty engine beside the current one, for a snapshot that arrives.
    func makeStaging() throws -> StagedEngine
    /// Puts a staged engine in the current one's place, at once and durably, and opens it.
    func install(_ staged: StagedEngine) throws -> any StorageEngine
    /// Drops a staged engine that is not needed.
    func discard(_ staged: StagedEngine)
}

/// An engine that is being filled, and the provider's own name for it.
package struct StagedEngine: Sendable {
    package var name: String
    package var engine: any StorageEngine

    package init(name: String, engine: any StorageEngine) {
        self.name = name
        self.engine = engine
    }
}
