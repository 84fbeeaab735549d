import NIOCore

/// What service discovery may use and take: every queue, buffer and wait of this folder has its limit here.
struct DiscoveryLimits: Sendable {
    // MARK: Registrations

    /// A request's body.
    var bodyBytesMax = 64 << 10
    var tagsMax = 32
    var tagBytesMax = 128
    var metaItemsMax = 64
    var metaBytesMax = 16 << 10
    /// An id that somebody else chose, in a path.
    var foreignIDBytesMax = 512
    static let ttlDefaultSeconds: Int64 = 15
    static let ttlMaxSeconds: Int64 = 24 * 3_600
    /// Registrations that met another one of the same instance, and are tried again.
    var attemptsMax = 8

    // MARK: Answers

    var instancesPerAnswerMax: Int64 = 4_096
    /// Keys that a list of all services may look at.
    var keysPerListMax: Int64 = 65_536
    /// Long polls and event streams that are open on one event loop.
    var waitsOfLoopMax = 4_096
    /// A stream is told of changes that come faster than this together.
    var streamInterval: TimeAmount = .milliseconds(100)
    /// Lists that streams of one event loop share; beyond it they are forgotten, and made anew.
    var sharedListBytesMax = 8 << 20
    var waitDefault: TimeAmount = .seconds(60)
    var waitMax: TimeAmount = .minutes(10)

    // MARK: Checks

    /// Instances that the cluster checks.
    static let checksMax: Int64 = 1_024
    /// Checks that are under way at one moment.
    var checksAtOnceMax = 64
    /// What a check reads of an answer.
    static let checkAnswerBytesMax = 8 << 10
    static let checkIntervalMilliseconds: ClosedRange<Int64> = 1_000...3_600_000
    static let checkTimeoutMilliseconds: ClosedRange<Int64> = 50...60_000
    static let checkFailures: ClosedRange<Int64> = 1...100
    static let deregisterAfterMilliseconds: ClosedRange<Int64> = 10_000...30 * 86_400_000

    // MARK: DNS

    /// Instances that are looked at for one question.
    var instancesPerQuestionMax: Int64 = 512
    /// Without EDNS (RFC 1035 section 2.3.4).
    static let plainDatagramBytesMax = 512
    /// With it: what passes networks whole (the DNS flag day of 2020).
    static let datagramBytesMax = 1_232
    /// A question over TCP; an answer is up to 65,535.
    var streamQuestionBytesMax = 4_096
    var streamsMax = 256
    var streamIdleTime: TimeAmount = .seconds(10)
    /// Datagrams that wait for their socket.
    var datagramQueueBytesMax = 4 << 20
    /// Questions over UDP that one address is answered in a second; as many more are told to come over TCP.
    var questionsPerAddressMax = 2_000
    /// Addresses that are counted apart in a second; all others share one count.
    var addressesMax = 8_192
    /// Instances that are kept in the form in which they are answered.
    var cachedInstancesMax = 8_192
}
