import NIOCore

/// What the HTTP API may use and take: every queue, buffer and wait of this folder has its limit here. (Bodies are as
/// large as etcd's requests may be: `--max-request-bytes`.)
struct HTTPAPILimits: Sendable {
    // MARK: Requests

    /// Items of a query or of a form.
    var queryItemsMax = 64
    /// Entity tags of one header field.
    var tagsMax = 16
    var contentTypeBytesMax = 255
    /// A lease's name, and the key of a keep-alive, in characters of Unicode.
    var nameLengthMax = 1_024
    /// How deep braces and brackets of a keep-alive's data may go.
    var jsonDepthMax = 64

    // MARK: Riot's buckets

    var bucketNameBytesMax = 255
    /// Keys that a bucket may have to be deleted: all of them go in one step of the log, during which nothing else is
    /// applied.
    var deletedBucketKeysMax: Int64 = 100_000
    /// Keys of a bucket that are counted before others of the event loop have their turn.
    var countedAtOnceMax = 4_096

    // MARK: Answers

    var keysPerPageDefault = 1_000
    var keysPerPageMax = 10_000
    /// A page ends before this, if it has one key.
    var pageBytesMax = 16 << 20
    /// All that a search by the names of leases may answer.
    var discoveryBytesMax = 64 << 20

    // MARK: Waiting

    /// Long polls and event streams that are open on one event loop.
    var watchesOfLoopMax = 16_384
    var waitDefault: TimeAmount = .seconds(60)
    var waitMax: TimeAmount = .minutes(10)
    /// What an event stream without events is told, so that proxies keep it and its end is noticed.
    var heartbeatInterval: TimeAmount = .seconds(15)
    /// How long a browser waits before it asks again for a stream that broke.
    var reconnectTime: TimeAmount = .seconds(2)

    // MARK: Leases

    /// Names that are tried for a new lease, should they be taken.
    var leaseIDAttemptsMax = 8
}
