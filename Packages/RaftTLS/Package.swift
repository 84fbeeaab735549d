// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that nobody who does without TLS builds BoringSSL: it takes minutes.

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

let raft: Target.Dependency = .product(name: "Raft", package: "martlet")

let package = Package(
    name: "RaftTLS",
    products: [.library(name: "RaftTLS", targets: ["RaftTLS"])],
    dependencies: [
        .package(name: "martlet", path: "../.."),
        .package(url: "https://github.com/apple/swift-nio.git", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", exact: "2.37.6"),
    ],
    targets: [
        .target(
            name: "RaftTLS",
            dependencies: [
                raft, .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ], swiftSettings: settings),
        .testTarget(name: "RaftTLSTests", dependencies: ["RaftTLS", raft], swiftSettings: settings),
    ]
)
