// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

// A package of its own, so that who uses the library or builds the server has nothing of it.
let package = Package(
    name: "library-benchmark",
    dependencies: [.package(name: "martlet", path: "../..")],
    targets: [
        .target(name: "CSupport"),
        .executableTarget(
            name: "library-benchmark", dependencies: [.product(name: "Raft", package: "martlet"), "CSupport"],
            swiftSettings: settings),
    ]
)
