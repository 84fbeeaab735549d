// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "three-nodes",
    dependencies: [.package(name: "martlet", path: "../..")],
    targets: [.executableTarget(name: "three-nodes", dependencies: [.product(name: "Raft", package: "martlet")])]
)
