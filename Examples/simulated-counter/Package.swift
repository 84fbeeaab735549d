// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "simulated-counter",
    dependencies: [.package(name: "martlet", path: "../..")],
    targets: [
        .executableTarget(
            name: "simulated-counter",
            dependencies: [
                .product(name: "Raft", package: "martlet"), .product(name: "RaftSimulation", package: "martlet"),
            ])
    ]
)
