extension ReadView {
    /// Hands over the pairs of a range in the order of keys, until `body` has enough. (A ``range(_:)`` counts all of
    /// its keys, however few it answers with.)
    package func forEachPair(
        in range: KeyRange, at revision: Revision = .latest, _ body: (BorrowedKeyValue) -> Bool
    ) throws(ReadError) {
        let reader = reader
        var query = RangeQuery(range)
        query.revision = revision
        if let error = reader.rangeError(query) { throw .request(error) }
        var scratch = ByteScratch(capacity: 0)
        do throws(StateError) {
            try reader.scan(range, at: revision.rawValue > 0 ? revision.rawValue : self.revision.rawValue) {
                row throws(StateError) in
                let content = try row.content
                let key = try unsafe VersionKey.userKey(row.key, row.prefixCount, scratch: &scratch)
                return unsafe body(BorrowedKeyValue(key: key, revision: row.revision, content: content))
            }
        } catch {
            throw .state(error)
        }
    }

    /// One pair.
    package func pair(_ key: [UInt8], at revision: Revision = .latest) throws(ReadError) -> KeyValue? {
        var found: KeyValue?
        try forEachPair(in: KeyRange(key: key), at: revision) { pair in
            found = KeyValue(pair)
            return false
        }
        return found
    }
}
