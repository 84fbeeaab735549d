import Foundation
import Testing

@testable import MartletServer

/// Every flag of etcd 3.6.14, as its help lists them (`server/etcdmain/help.go`), and what becomes of each here.
@Suite struct FlagsPageTests {
    private static let flagsOfEtcd = """
        name data-dir wal-dir snapshot-count heartbeat-interval election-timeout initial-election-tick-advance
        listen-peer-urls listen-client-urls listen-client-http-urls max-snapshots max-wals memory-mlock
        quota-backend-bytes backend-bbolt-freelist-type backend-batch-interval backend-batch-limit max-txn-ops
        max-request-bytes max-concurrent-streams grpc-keepalive-min-time grpc-keepalive-interval grpc-keepalive-timeout
        socket-reuse-port socket-reuse-address enable-grpc-gateway raft-read-timeout raft-write-timeout feature-gates
        initial-advertise-peer-urls initial-cluster initial-cluster-state initial-cluster-token advertise-client-urls
        discovery discovery-token discovery-endpoints discovery-dial-timeout discovery-request-timeout
        discovery-keepalive-time discovery-keepalive-timeout discovery-insecure-transport
        discovery-insecure-skip-tls-verify discovery-cert discovery-key discovery-cacert discovery-user
        discovery-password discovery-fallback discovery-proxy discovery-srv discovery-srv-name strict-reconfig-check
        pre-vote auto-compaction-retention auto-compaction-mode v2-deprecation cert-file key-file client-cert-auth
        client-cert-file client-key-file client-crl-file client-cert-allowed-hostname trusted-ca-file auto-tls
        peer-cert-file peer-key-file peer-client-cert-auth peer-client-cert-file peer-client-key-file
        peer-trusted-ca-file peer-cert-allowed-cn peer-cert-allowed-hostname peer-auto-tls self-signed-cert-validity
        peer-crl-file cipher-suites cors host-whitelist tls-min-version tls-max-version auth-token bcrypt-cost
        auth-token-ttl enable-pprof metrics listen-metrics-urls logger log-outputs log-level log-format
        enable-log-rotation log-rotation-config-json warning-unary-request-duration enable-distributed-tracing
        distributed-tracing-address distributed-tracing-service-name distributed-tracing-instance-id
        distributed-tracing-sampling-rate corrupt-check-time compact-hash-check-time compaction-batch-limit
        peer-skip-client-san-verification watch-progress-notify-interval warning-apply-duration
        bootstrap-defrag-threshold-megabytes max-learners compaction-sleep-interval downgrade-check-time
        snapshot-catchup-entries force-new-cluster unsafe-no-fsync
        """.split(whereSeparator: \.isWhitespace).map(String.init)

    private static let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../../Documentation/flags.md").standardized

    @Test func `the page of flags is what the table says`() throws {
        if ProcessInfo.processInfo.environment["MARTLET_FLAGS_REWRITE"] == "1" {
            try ServerHelp.markdown.write(to: Self.page, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: Self.page, encoding: .utf8) == ServerHelp.markdown)
    }

    @Test func `every flag of etcd is known, once`() {
        #expect(Self.flagsOfEtcd.count == 113)
        #expect(Set(Self.flagsOfEtcd).count == Self.flagsOfEtcd.count)
        for name in Self.flagsOfEtcd { #expect(ServerFlags.byName[name] != nil, "\(name)") }
    }

    private func parse(_ arguments: [String], environment: [String: String] = [:], file: String? = nil) throws
        -> ServerConfiguration
    {
        let parser = ConfigurationParser(environment: environment) { (_) throws(ConfigurationError) in file ?? "" }
        guard case .run(let configuration) = try parser.parse(arguments) else {
            throw ConfigurationError("something was printed")
        }
        return configuration
    }

    private func message(_ arguments: [String], environment: [String: String] = [:], file: String? = nil) -> String? {
        do {
            _ = try parse(arguments, environment: environment, file: file)
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// A value that is none of the flag's default.
    private func other(_ flag: ServerFlag) -> String {
        if case .boolean = flag.kind { return flag.defaultText == "true" ? "false" : "true" }
        return "7"
    }

    @Test func `what has no effect is taken with a warning, from wherever it comes`() throws {
        var count = 0
        for flag in ServerFlags.all {
            guard case .ignored(let reason) = flag.effect else { continue }
            count += 1
            let value = other(flag)
            let expected = "has no effect here: \(reason)"
            let sources: [(String, ServerConfiguration)] = [
                ("--\(flag.name)", try parse(["--\(flag.name)=\(value)"])),
                (
                    "ETCD_\(flag.environmentSuffix)",
                    try parse([], environment: ["ETCD_\(flag.environmentSuffix)": value])
                ),
                ("\(flag.name) in f", try parse(["--config-file=f"], file: "\(flag.name): \(value)\n")),
            ]
            for (source, configuration) in sources {
                #expect(configuration.warnings == ["\(source) \(expected)"])
            }
            #expect(try parse(["--\(flag.name)=\(flag.defaultText)"]).warnings.isEmpty)
        }
        #expect(count > 10)
    }

    @Test func `what is refused says what to do, from wherever it comes`() {
        for flag in ServerFlags.all {
            let reason: String
            switch flag.effect {
            case .refused(let advice): reason = "is refused: \(advice)"
            case .notYet(let what): reason = "is not available yet: \(what)"
            case .set, .ignored: continue
            }
            let value = other(flag)
            #expect(message(["--\(flag.name)=\(value)"]) == "--\(flag.name) \(reason)")
            let variable = "ETCD_\(flag.environmentSuffix)"
            #expect(message([], environment: [variable: value]) == "\(variable) \(reason)")
            #expect(message(["--config-file=f"], file: "\(flag.name): \(value)\n") == "\(flag.name) in f \(reason)")
        }
    }

    @Test func `a value that is no boolean is refused even where it has no effect`() {
        #expect(message(["--unsafe-no-fsync=maybe"]) == "--unsafe-no-fsync: \"maybe\" is neither true nor false")
        #expect(message(["--v2-deprecation=soon"])?.contains("not one of not-yet") == true)
        #expect(message(["--v2-deprecation=gone"]) == nil)
    }

    @Test func `what is honoured arrives in the configuration`() throws {
        let configuration = try parse([
            "--socket-reuse-port", "--socket-reuse-address", "--enable-grpc-gateway=false",
            "--snapshot-catchup-entries=9", "--listen-client-http-urls=http://127.0.0.1:1,http://127.0.0.1:2",
        ])
        #expect(configuration.socketReusePort && !configuration.enableGRPCGateway)
        #expect(configuration.snapshotCatchUpEntries == 9)
        #expect(configuration.listenClientHTTPURLs.map(\.port) == [1, 2])
        #expect(configuration.warnings.isEmpty)
    }
}
