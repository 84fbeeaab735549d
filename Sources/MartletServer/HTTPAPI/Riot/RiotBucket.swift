import MVCC

/// A bucket of Riot's later API, as ordinary keys (decision 0020):
///
///     __martlet/riot/bucket/<bucket>       empty: the bucket is there
///     __martlet/riot/key/<bucket>/<key>    a value of it
///
/// A name has no slash, so no bucket's keys are among another one's. Whether a bucket is there is asked in the
/// transaction that writes: whoever deletes it and whoever writes into it come one after the other.
struct RiotBucket: Hashable, Sendable {
    let name: [UInt8]

    /// Throws what is wrong with the name: what could not be written in a path, or not be read by people.
    init(_ name: [UInt8], limits: HTTPAPILimits = HTTPAPILimits()) throws(APIError) {
        guard !name.isEmpty else {
            throw .badRequest("a bucket's name is missing: it is the body of POST /riot/bucket, like student")
        }
        guard name.count <= limits.bucketNameBytesMax else {
            throw .badRequest(
                "the bucket's name has \(name.count) bytes; it may have up to \(limits.bucketNameBytesMax)")
        }
        guard let text = String(validating: name, as: UTF8.self) else {
            throw .badRequest("the bucket's name is not UTF-8")
        }
        guard !name.contains(UInt8(ascii: "/")) else {
            throw .badRequest("the bucket's name \(text) has a slash; keys may have some, buckets may not")
        }
        guard name.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
            throw .badRequest("the bucket's name has a control character, perhaps a line's end")
        }
        guard text != ".", text != ".." else {
            throw .badRequest("\(text) is no name for a bucket: clients take it out of paths")
        }
        self.name = name
    }

    // MARK: Layout

    /// The key that is there for as long as the bucket is.
    var place: [UInt8] { ReservedKeys.buckets + name }

    private var keyPrefix: [UInt8] { ReservedKeys.bucketKeys + name + [UInt8(ascii: "/")] }

    func key(_ key: [UInt8]) -> [UInt8] { keyPrefix + key }

    var keys: KeyRange { KeyRange(prefix: keyPrefix) }

    // MARK: Transactions

    private var isThere: Comparison { Comparison(KeyRange(key: place), .notEqual, .createRevision(0)) }

    /// Succeeds if it was not there.
    var creation: Transaction {
        Transaction(
            comparisons: [Comparison(KeyRange(key: place), .equal, .createRevision(0))],
            success: [.put(PutOperation(key: place, value: []))])
    }

    /// Succeeds if it was there. However many keys it has, this is two operations, and one revision.
    var deletion: Transaction {
        Transaction(
            comparisons: [isThere],
            success: [.delete(DeleteOperation(KeyRange(key: place))), .delete(DeleteOperation(keys))])
    }

    /// Succeeds if the bucket is there.
    func setting(_ key: [UInt8], to value: [UInt8]) -> Transaction {
        Transaction(
            comparisons: [isThere], success: [.put(PutOperation(key: self.key(key), value: value))])
    }

    /// What is not there is removed already, and so are the keys of a bucket that is not.
    func removal(of key: [UInt8]) -> Transaction {
        Transaction(success: [.delete(DeleteOperation(KeyRange(key: self.key(key))))])
    }

    // MARK: Reading

    func isThere(in view: ReadView) throws(ReadError) -> Bool { try view.pair(place) != nil }
}
