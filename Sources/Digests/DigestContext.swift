internal import CCrypto

/// One digest that is being made. libcrypto fails only where there is no memory, or no such algorithm: neither is for a
/// caller to handle.
@safe final class DigestContext {
    enum Algorithm {
        case sha1
        case sha256

        var bytes: Int {
            switch self {
            case .sha1: 20
            case .sha256: 32
            }
        }
    }

    private let algorithm: Algorithm
    private let context: OpaquePointer

    init(_ algorithm: Algorithm) {
        self.algorithm = algorithm
        unsafe context = Self.make()
        let kind = unsafe algorithm == .sha1 ? EVP_sha1() : EVP_sha256()
        guard unsafe EVP_DigestInit_ex(context, kind, nil) == 1 else { fatalError("libcrypto has no \(algorithm)") }
    }

    /// Goes on from where the other one is.
    init(copying other: DigestContext) {
        algorithm = other.algorithm
        unsafe context = Self.make()
        guard unsafe EVP_MD_CTX_copy_ex(context, other.context) == 1 else { fatalError("out of memory") }
    }

    deinit { unsafe EVP_MD_CTX_free(context) }

    private static func make() -> OpaquePointer {
        guard let context = unsafe EVP_MD_CTX_new() else { fatalError("out of memory") }
        return unsafe context
    }

    func update(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0 else { return }
        guard unsafe EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1 else { fatalError("no digest") }
    }

    /// After this the context is of no use.
    func finish() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: algorithm.bytes)
        guard unsafe EVP_DigestFinal_ex(context, &digest, nil) == 1 else { fatalError("no digest") }
        return digest
    }
}
