package import StorageEngine

/// What a client did wrong. Every member answers the same for the same command.
///
/// The texts are etcd's, byte for byte: its clients compare them.
package enum RequestError: Error, Hashable, Sendable, CaseIterable {
    case keyNotProvided
    case keyNotFound
    case valueProvided
    case leaseProvided
    case tooManyOperations
    case duplicateKey
    case invalidSortOption
    case compacted
    case futureRevision
    case leaseNotFound
    case leaseExists
    case leaseTTLTooLarge
    case requestTooLarge
    case noSpace
    case corruptCluster

    package var message: String {
        switch self {
        case .keyNotProvided: "etcdserver: key is not provided"
        case .keyNotFound: "etcdserver: key not found"
        case .valueProvided: "etcdserver: value is provided"
        case .leaseProvided: "etcdserver: lease is provided"
        case .tooManyOperations: "etcdserver: too many operations in txn request"
        case .duplicateKey: "etcdserver: duplicate key given in txn request"
        case .invalidSortOption: "etcdserver: invalid sort option"
        case .compacted: "etcdserver: mvcc: required revision has been compacted"
        case .futureRevision: "etcdserver: mvcc: required revision is a future revision"
        case .leaseNotFound: "etcdserver: requested lease not found"
        case .leaseExists: "etcdserver: lease already exists"
        case .leaseTTLTooLarge: "etcdserver: too large lease TTL"
        case .requestTooLarge: "etcdserver: request is too large"
        case .noSpace: "etcdserver: mvcc: database space exceeded"
        case .corruptCluster: "etcdserver: corrupt cluster"
        }
    }

    /// The status code that goes with the text in gRPC.
    package var grpcCode: Int {
        switch self {
        case .keyNotProvided, .keyNotFound, .valueProvided, .leaseProvided, .tooManyOperations, .duplicateKey,
            .invalidSortOption, .requestTooLarge:
            3  // INVALID_ARGUMENT
        case .leaseNotFound: 5  // NOT_FOUND
        case .noSpace: 8  // RESOURCE_EXHAUSTED
        case .leaseExists: 9  // FAILED_PRECONDITION
        case .compacted, .futureRevision, .leaseTTLTooLarge: 11  // OUT_OF_RANGE
        case .corruptCluster: 15  // DATA_LOSS
        }
    }
}

/// What is wrong with this member's own state: it must stop, for what it would answer from here on may be false.
package enum StateError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A row whose checksum is wrong, that cannot be decoded, or that another row says should be there.
    case corrupt(String)
    /// The data was written by a newer version.
    case unknownFormat(UInt8)
    /// The log holds a command of a later record format.
    case unknownCommandVersion(UInt8)
    /// The log holds a command that a newer member wrote.
    case unknownCommand(tag: UInt8)
    /// The log holds a command that cannot be decoded. It was checked before it was proposed, so this is not a client's
    /// doing.
    case undecodableCommand(String)
    case engine(EngineError)

    package var description: String {
        switch self {
        case .corrupt(let reason): "damaged: \(reason)"
        case .unknownFormat(let version): "the state is in format \(version), of a newer version"
        case .unknownCommandVersion(let version): "the log holds a command in format \(version), of a newer version"
        case .unknownCommand(let tag): "the log holds command \(tag), of a newer version"
        case .undecodableCommand(let reason): "the log holds a command that cannot be decoded: \(reason)"
        case .engine(let error): "\(error)"
        }
    }
}

/// A read fails for the client's fault or for this member's.
package enum ReadError: Error, Equatable, Sendable {
    case request(RequestError)
    case state(StateError)
}
