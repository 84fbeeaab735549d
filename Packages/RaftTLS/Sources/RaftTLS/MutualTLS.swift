import NIOCore
import NIOSSL
public import Raft

/// TLS between members, with a certificate on both sides: whoever cannot show one that the trust roots vouch for gets
/// neither in nor heard.
///
///     let tls = try MutualTLS(
///         certificateFile: "/etc/raft/member.pem", keyFile: "/etc/raft/member.key",
///         trustRootsFile: "/etc/raft/ca.pem")
///     let member = RaftMember(..., transport: .tls(tls, listen: "10.0.0.1:7000"), ...)
///
/// The trust roots should vouch for members of this cluster and for nobody else: any of their certificates, not only
/// this member's, opens the door. The files are read once; a new certificate comes into force with a new start of the
/// member. TLS 1.3 only, since both ends are this library.
public struct MutualTLS: Sendable {
    private let server: NIOSSLContext
    private let client: NIOSSLContext

    /// - Parameters:
    ///   - certificateFile: this member's certificate in PEM, followed by those between it and the roots, if there are
    ///     any. It serves for both sides: where it names extended key usages, both `serverAuth` and `clientAuth`.
    ///   - keyFile: its private key in PEM, without a passphrase.
    ///   - trustRootsFile: the certificates that vouch for members, in PEM.
    ///   - verifiesHosts: whether a member that is dialled must have the host name or address that it was dialled by
    ///     in its certificate. Without it, any member may answer for any other one.
    public init(
        certificateFile: String, keyFile: String, trustRootsFile: String, verifiesHosts: Bool = true
    ) throws(MutualTLSError) {
        let chain: [NIOSSLCertificateSource]
        do {
            chain = try NIOSSLCertificate.fromPEMFile(certificateFile).map { .certificate($0) }
        } catch {
            throw .unreadable(certificateFile, reason: "\(error)")
        }
        let key: NIOSSLPrivateKey
        do { key = try NIOSSLPrivateKey(file: keyFile, format: .pem) } catch {
            throw .unreadable(keyFile, reason: "\(error)")
        }
        let roots: [NIOSSLCertificate]
        do { roots = try NIOSSLCertificate.fromPEMFile(trustRootsFile) } catch {
            throw .unreadable(trustRootsFile, reason: "\(error)")
        }
        guard !chain.isEmpty else { throw .unreadable(certificateFile, reason: "no certificate in it") }
        // No roots would mean those of the system: anybody.
        guard !roots.isEmpty else { throw .unreadable(trustRootsFile, reason: "no certificate in it") }

        var serving = TLSConfiguration.makeServerConfigurationWithMTLS(
            certificateChain: chain, privateKey: .privateKey(key), trustRoots: .certificates(roots))
        serving.minimumTLSVersion = .tlsv13
        var dialling = TLSConfiguration.makeClientConfiguration()
        dialling.certificateChain = chain
        dialling.privateKey = .privateKey(key)
        dialling.trustRoots = .certificates(roots)
        dialling.certificateVerification = verifiesHosts ? .fullVerification : .noHostnameVerification
        dialling.minimumTLSVersion = .tlsv13
        do {
            server = try NIOSSLContext(configuration: serving)
            client = try NIOSSLContext(configuration: dialling)
        } catch {
            // The key does not fit the certificate, most likely.
            throw .unusable("\(error)")
        }
    }

    /// The connections of a transport with these options are TLS, before anything else is said on them.
    public func apply(to options: inout RaftTransport.TCPOptions) {
        let (server, client) = (server, client)
        options.configureChannel = { channel, side in
            switch side {
            case .accepted:
                try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: server))
            case .dialled(let host):
                // An address is no name to ask for; it is looked for in the certificate all the same.
                let name = (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
                try channel.pipeline.syncOperations.addHandler(
                    NIOSSLClientHandler(context: client, serverHostname: name))
            }
        }
    }
}

extension RaftTransport {
    /// Over TCP with TLS.
    public static func tls(_ tls: MutualTLS, _ options: TCPOptions = TCPOptions()) -> RaftTransport {
        var options = options
        tls.apply(to: &options)
        return .tcp(options)
    }

    /// - Parameter listen: `host:port`; port 0 takes a free one.
    public static func tls(_ tls: MutualTLS, listen: String) -> RaftTransport {
        .tls(tls, TCPOptions(listen: [listen]))
    }
}

/// Why there is no TLS. It is never left out for that.
public enum MutualTLSError: Error, Hashable, Sendable, CustomStringConvertible {
    case unreadable(String, reason: String)
    /// The key is not the certificate's, or the like.
    case unusable(String)

    public var description: String {
        switch self {
        case .unreadable(let file, let reason): "\(file) cannot be used: \(reason)"
        case .unusable(let reason): "certificate and key cannot be used: \(reason)"
        }
    }
}
