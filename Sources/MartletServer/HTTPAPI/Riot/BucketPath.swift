/// What a path below `/riot/bucket/` is about: `student`, or `student/key/lusi`.
enum BucketPath: Hashable, Sendable {
    case all
    case bucket(RiotBucket)
    /// Any bytes but none. Slashes may stay as they are.
    case key([UInt8], RiotBucket)

    static let root = "/riot/bucket"
    static let below = "/riot/bucket/"
    private static let keyMark = "key/"

    /// - Parameter path: as the client wrote it.
    init(_ path: String, limits: HTTPAPILimits = HTTPAPILimits()) throws(APIError) {
        let rest = path.utf8.dropFirst(Self.below.utf8.count)
        guard !rest.isEmpty else {
            self = .all
            return
        }
        let written = rest.prefix { $0 != UInt8(ascii: "/") }
        let name = try PercentCoding.pathBytes(String(decoding: written, as: UTF8.self), behind: "")
        let bucket = try RiotBucket(name, limits: limits)
        guard written.count < rest.count else {
            self = .bucket(bucket)
            return
        }
        let tail = rest.dropFirst(written.count + 1)
        guard tail.starts(with: Self.keyMark.utf8) else {
            throw .notFound("behind a bucket's name comes /key/ and a key, as in \(Self.below)student/key/lusi")
        }
        let key = try PercentCoding.pathBytes(String(decoding: tail, as: UTF8.self), behind: Self.keyMark)
        guard !key.isEmpty else {
            throw .badRequest("no key behind /key/, as in \(Self.below)student/key/lusi")
        }
        self = .key(key, bucket)
    }

    var methods: [String] {
        switch self {
        case .all: ["POST"]
        case .bucket: ["GET", "DELETE"]
        case .key: ["GET", "POST", "DELETE"]
        }
    }
}
