// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "counter",
    dependencies: [.package(name: "martlet", path: "../..")],
    targets: [.executableTarget(name: "counter", dependencies: [.product(name: "Raft", package: "martlet")])]
)
