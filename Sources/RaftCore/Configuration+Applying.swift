extension Configuration {
    /// What this configuration becomes by a committed change. A state machine that keeps the configuration beside its
    /// data computes it here, with the core's own arithmetic.
    /// - Throws: the reason why the change is not possible from here.
    public func applying(_ change: ConfigurationChange) throws(ConfigurationRefusal) -> Configuration {
        try ConfigurationChanger.apply(change, to: self).configuration
    }
}
