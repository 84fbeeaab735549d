// swift-tools-version: 6.2
import PackageDescription

/// One set of rules for every target: nothing implicit, nothing tolerated.
var settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]
/// Mistakes built in on purpose, for `scripts/simulate-mutations`: never in a build that is used.
if Context.environment["MARTLET_MUTATIONS"] == "1" { settings.append(.define("MARTLET_MUTATIONS")) }
/// For targets that read bytes they do not own: every unsafe step is marked where it is taken.
let strict: [SwiftSetting] = settings + [.strictMemorySafety()]

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioWebSocket: Target.Dependency = .product(name: "NIOWebSocket", package: "swift-nio")
let swiftProtobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "Metrics", package: "swift-metrics")
let metricsTestKit: Target.Dependency = .product(name: "MetricsTestKit", package: "swift-metrics")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let tomlKit: Target.Dependency = .product(name: "TOMLKit", package: "TOMLKit")

let package = Package(
    name: "martlet",
    products: [
        .executable(name: "martlet", targets: ["martlet"]),
        .library(name: "RaftCore", targets: ["RaftCore"]),
        .library(name: "Raft", targets: ["Raft"]),
        .library(name: "RaftSimulation", targets: ["RaftSimulation"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio.git", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-protobuf.git", exact: "1.39.0"),
        .package(url: "https://github.com/apple/swift-argument-parser.git", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log.git", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics.git", exact: "2.13.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", exact: "2.13.0"),
        .package(url: "https://github.com/jpsim/Yams.git", exact: "6.2.2"),
        .package(url: "https://github.com/LebJe/TOMLKit.git", exact: "0.6.0"),
    ],
    targets: [
        // Pure: no threads, no clock, no files.
        .target(name: "RaftCore", swiftSettings: settings),
        .target(name: "CByteCodec"),
        .target(name: "ByteCodec", dependencies: ["CByteCodec"], swiftSettings: strict),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(name: "Digests", dependencies: ["CCrypto"], swiftSettings: strict),
        .target(name: "Platform", swiftSettings: settings),
        .target(name: "StorageEngine", swiftSettings: strict),
        .target(name: "MVCC", dependencies: ["StorageEngine", "ByteCodec"], swiftSettings: settings),

        // The seams' real sides.
        .target(name: "PlatformPOSIX", dependencies: ["Platform"], swiftSettings: settings),
        .target(name: "PlatformSimulation", dependencies: ["Platform"], swiftSettings: settings),
        .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
        .target(name: "LMDBEngine", dependencies: ["StorageEngine", "CLMDB"], swiftSettings: strict),
        .systemLibrary(name: "CRocksDB", pkgConfig: "rocksdb", providers: [.apt(["librocksdb-dev"])]),
        .target(name: "RocksDBEngine", dependencies: ["StorageEngine", "CRocksDB"], swiftSettings: strict),
        .target(
            name: "JournalEngine", dependencies: ["StorageEngine", "ByteCodec", "Platform"], swiftSettings: settings),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .target(name: "Zstandard", dependencies: ["CZstd"], swiftSettings: strict),
        .target(name: "WriteAheadLog", dependencies: ["ByteCodec", "Platform"], swiftSettings: strict),
        .target(name: "SocketSupport", dependencies: [nioCore, nioPosix], swiftSettings: settings),
        .target(name: "PeerTransport", dependencies: ["RaftCore", "ByteCodec"], swiftSettings: settings),
        .target(
            name: "PeerTransportNIO",
            dependencies: ["PeerTransport", "RaftCore", "ByteCodec", "Platform", "SocketSupport", nioCore, nioPosix],
            swiftSettings: settings),

        // The replica and the world it can be played in.
        .target(
            name: "Raft",
            dependencies: [
                "RaftCore", "WriteAheadLog", "PeerTransport", "PeerTransportNIO", "Platform", "PlatformPOSIX",
                "ByteCodec", nioCore, logging, metrics, lifecycle,
            ], swiftSettings: settings),
        .target(
            name: "Replica",
            dependencies: [
                "Raft", "RaftCore", "MVCC", "StorageEngine", "Platform", "ByteCodec", "Digests", "PeerTransport",
                "Zstandard",
            ],
            swiftSettings: settings),
        .target(
            name: "RaftSimulation",
            dependencies: [
                "Replica", "Raft", "RaftCore", "MVCC", "StorageEngine", "Platform", "PlatformSimulation",
                "PeerTransport", "WriteAheadLog", "ByteCodec",
            ], swiftSettings: settings),

        // The front door.
        .systemLibrary(name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "HTTP2", dependencies: ["CNghttp2", "CZlib", "SocketSupport", nioCore, nioPosix], swiftSettings: settings),
        .target(name: "EtcdAPI", dependencies: ["ByteCodec", swiftProtobuf], swiftSettings: settings),
        .target(
            name: "MartletServer",
            dependencies: [
                "Replica", "Raft", "RaftCore", "MVCC", "StorageEngine", "EtcdAPI", "HTTP2", "PeerTransport",
                "PeerTransportNIO", "Platform", "PlatformPOSIX", "LMDBEngine", "RocksDBEngine", "JournalEngine",
                "ByteCodec", "WriteAheadLog", "Digests", "SocketSupport", nioCore, nioPosix, nioHTTP1, nioWebSocket,
                logging, yams, tomlKit, swiftProtobuf,
            ], exclude: ["Console/Pages"], swiftSettings: settings),
        .target(
            name: "MartletClient", dependencies: ["EtcdAPI", "HTTP2", "SocketSupport", nioCore, nioPosix, swiftProtobuf],
            swiftSettings: settings),
        .executableTarget(
            name: "martlet-simulate", dependencies: ["RaftSimulation"], swiftSettings: settings),
        .executableTarget(
            name: "martlet", dependencies: ["MartletServer", "MartletClient", "EtcdAPI", argumentParser, logging, swiftProtobuf],
            swiftSettings: settings),

        // Tests mirror the sources; the last ones cross them.
        .testTarget(
            name: "ByteCodecTests", dependencies: ["ByteCodec", "CByteCodec", "Platform"], swiftSettings: settings),
        .testTarget(
            name: "PlatformTests", dependencies: ["Platform", "PlatformPOSIX", "PlatformSimulation"],
            swiftSettings: settings),
        .testTarget(
            name: "WriteAheadLogTests",
            dependencies: ["WriteAheadLog", "ByteCodec", "Platform", "PlatformPOSIX", "PlatformSimulation"],
            swiftSettings: settings),
        .testTarget(
            name: "RaftCoreTests", dependencies: ["RaftCore"], exclude: ["README.md", "Scenarios"],
            swiftSettings: settings),
        .testTarget(
            name: "RaftTests",
            dependencies: [
                "Raft", "RaftCore", "WriteAheadLog", "PeerTransport", "Platform", "PlatformPOSIX",
                "PlatformSimulation", logging, metrics, metricsTestKit, lifecycle, "TestSupport",
            ], swiftSettings: settings),
        .testTarget(name: "StorageEngineTests", dependencies: ["StorageEngine"], swiftSettings: settings),
        .testTarget(
            name: "EngineConformanceTests",
            dependencies: [
                "StorageEngine", "LMDBEngine", "CLMDB", "RocksDBEngine", "JournalEngine", "Platform", "PlatformPOSIX",
                "PlatformSimulation",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "MVCCTests", dependencies: ["MVCC", "StorageEngine", "ByteCodec", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "ReplicaTests",
            dependencies: [
                "Replica", "Raft", "RaftCore", "MVCC", "StorageEngine", "Platform", "PlatformPOSIX",
                "PlatformSimulation", "ByteCodec", "Digests", "LMDBEngine", "RocksDBEngine", "JournalEngine",
                "PeerTransport", "Zstandard", "TestSupport",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "PeerTransportTests", dependencies: ["PeerTransport", "RaftCore", "ByteCodec", "Platform"],
            swiftSettings: settings),
        .testTarget(
            name: "PeerTransportNIOTests",
            dependencies: [
                "PeerTransportNIO", "PeerTransport", "RaftCore", "ByteCodec", "Platform", nioCore, nioPosix,
            ], swiftSettings: settings),
        .testTarget(
            name: "HTTP2Tests",
            dependencies: ["HTTP2", "CNghttp2", "CZlib", nioCore, nioPosix, nioEmbedded, nioHTTP1],
            swiftSettings: settings),
        .testTarget(name: "DigestsTests", dependencies: ["Digests"], swiftSettings: settings),
        .testTarget(name: "ZstandardTests", dependencies: ["Zstandard"], swiftSettings: settings),
        .testTarget(name: "EtcdAPITests", dependencies: ["EtcdAPI", "TestSupport", swiftProtobuf], swiftSettings: settings),
        .testTarget(
            name: "MartletServerTests",
            dependencies: [
                "MartletServer", "Replica", "Raft", "RaftCore", "MVCC", "EtcdAPI", "HTTP2", "PeerTransport",
                "PeerTransportNIO", "Platform", "PlatformPOSIX", "StorageEngine", "WriteAheadLog", "SocketSupport",
                nioCore, nioPosix, logging, swiftProtobuf,
            ],
            swiftSettings: settings),
        .testTarget(
            name: "MartletClientTests",
            dependencies: ["MartletClient", "EtcdAPI", "HTTP2", nioCore, nioPosix, swiftProtobuf],
            swiftSettings: settings),
        .testTarget(
            name: "martletTests", dependencies: ["martlet", "MartletClient", "MartletServer", "EtcdAPI", argumentParser],
            swiftSettings: settings),
        .testTarget(name: "TidyTests", swiftSettings: settings),
        .testTarget(
            name: "SimulationTests",
            dependencies: ["RaftSimulation", "Raft", "RaftCore", "Replica", "MVCC", "Platform"],
            swiftSettings: settings),
        .testTarget(
            name: "ClusterTests", dependencies: ["MartletClient", "RaftSimulation", "EtcdAPI", "TestSupport"],
            swiftSettings: settings),
        // What tests of several targets need.
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
    ]
)
