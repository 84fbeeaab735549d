import ArgumentParser
import Foundation
import MartletClient

struct ServiceRegisterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "register", abstract: "Registers an instance of a service, and keeps it registered.",
        usage: "martlet service register <service> [<id>] --address <address> --port <port> [options]",
        discussion: """
            Without a check it stays until it is stopped, renews the registration's lease and takes the registration \
            back at the end; if it is killed, the lease runs out. With --once it returns, and the caller renews the \
            lease (martlet lease keep-alive, or POST /service/<service>/<id>/renew). With a check it returns as well: \
            the cluster's leader checks the instance, and lists it for as long as it is well. Servers do that if they \
            were started with --enable-service-checks.

            Examples:
              martlet service register web --address 10.0.0.1 --port 8080 --tag v2 --weight 3
              martlet service register web web-1 --address 10.0.0.1 --port 8080 --once --ttl 1m
              martlet service register web web-2 --address 10.0.0.2 --port 8080 --check-http /healthz
              martlet service register db --address db.example.com --port 5432 --check-tcp --check-interval 5s
              martlet service register api --address 10.0.0.3 --port 50051 --check-grpc api.v1.Api
            """)

    @Argument(
        help: ArgumentHelp(
            "The service, and the instance's id: its address and port if none is given.", valueName: "service and id"))
    var arguments: [String] = []
    @Option(help: "The instance's IP address, or its host's name.") var address: String?
    @Option(help: "The instance's port.") var port: UInt16?
    @Option(help: "A tag; may be given again.") var tag: [String] = []
    @Option(help: "Its share of the clients, beside the others' weights. (default: 1)") var weight: UInt16?
    @Option(help: ArgumentHelp("What else is to be known of it; may be given again.", valueName: "name=value"))
    var meta: [String] = []
    @Option(help: ArgumentHelp("How long it is listed without a sign of life. (default: 15s)", valueName: "duration"))
    var ttl: String?
    @Flag(help: "Do not stay to renew the lease.") var once = false

    @Flag(help: "Check: connections are accepted.") var checkTcp = false
    @Option(help: ArgumentHelp("Check: GET of this path is answered with 2xx.", valueName: "path"))
    var checkHttp: String?
    @Option(
        help: ArgumentHelp(
            "Check: gRPC's health service says SERVING of this service; \"\" for the server as a whole.",
            valueName: "service"))
    var checkGrpc: String?
    @Option(help: ArgumentHelp("The port to check, if it is another one.", valueName: "port")) var checkPort: UInt16?
    @Option(help: ArgumentHelp("How often it is checked. (default: 10s)", valueName: "duration"))
    var checkInterval: String?
    @Option(help: ArgumentHelp("How long a check may take. (default: 2s)", valueName: "duration"))
    var checkTimeout: String?
    @Option(help: ArgumentHelp("After how many failures it is listed no more. (default: 3)", valueName: "number"))
    var checkFailures: Int?
    @Option(
        help: ArgumentHelp("After how long a failing instance is forgotten. (default: never)", valueName: "duration"))
    var deregisterAfter: String?

    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    private struct Check: Encodable {
        var type: String
        var path: String?
        var service: String?
        var port: UInt16?
        var interval: String?
        var timeout: String?
        var failures: Int?
        var deregister_after: String?
    }

    private struct Body: Encodable {
        var address: String
        var port: UInt16
        var tags: [String]
        var weight: UInt16?
        var meta: [String: String]
        var ttl: String?
        var check: Check?
    }

    /// What is asked of the server, which judges the rest.
    func request() throws(CommandFailure) -> (service: String, id: String, body: [UInt8], isChecked: Bool) {
        guard (1...2).contains(arguments.count) else {
            throw .badArguments("service register needs the name of a service, and may have the id of an instance")
        }
        guard let address, !address.isEmpty else { throw .badArguments("where is it? use --address 10.0.0.1") }
        guard let port else { throw .badArguments("on which port? use --port 8080") }
        var pairs: [String: String] = [:]
        for item in meta {
            let sides = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2 else { throw .badArguments("--meta \(item): write it as name=value") }
            pairs[String(sides[0])] = String(sides[1])
        }
        let check = try check()
        if check != nil, ttl != nil { throw .badArguments("a checked instance has no --ttl: its check keeps it alive") }
        let body = Body(
            address: address, port: port, tags: tag, weight: weight, meta: pairs, ttl: ttl, check: check)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let json = try? encoder.encode(body) else { throw .badArguments("this cannot be written as JSON") }
        let id = arguments.count > 1 ? arguments[1] : Self.id(address, port)
        return (arguments[0], id, Array(json), check != nil)
    }

    private func check() throws(CommandFailure) -> Check? {
        let kinds = [checkTcp, checkHttp != nil, checkGrpc != nil].filter { $0 }
        guard kinds.count <= 1 else {
            throw .badArguments("one check of an instance: --check-tcp, --check-http or --check-grpc")
        }
        guard kinds.count == 1 else {
            let others = [checkInterval, checkTimeout, deregisterAfter, checkFailures.map(String.init)]
            guard others.allSatisfy({ $0 == nil }), checkPort == nil else {
                throw .badArguments("which check? use --check-tcp, --check-http or --check-grpc")
            }
            return nil
        }
        return Check(
            type: checkTcp ? "tcp" : checkHttp != nil ? "http" : "grpc", path: checkHttp, service: checkGrpc,
            port: checkPort, interval: checkInterval, timeout: checkTimeout, failures: checkFailures,
            deregister_after: deregisterAfter)
    }

    /// Address and port as a label of a host name.
    static func id(_ address: String, _ port: UInt16) -> String {
        let text = "\(address)-\(port)".lowercased().map { character in
            character.isASCII && (character.isLetter || character.isNumber) ? character : "-"
        }
        let label = String(text).drop { $0 == "-" }
        return String(label.suffix(63).drop { $0 == "-" })
    }

    func run() async throws {
        let (service, id, body, isChecked) = try request()
        let format = try global.format(noneOf: [.table, .protobuf])
        let services = try await global.services()
        let interruption = Interruption()
        let instance: ServiceInstanceListing
        do throws(ServiceClient.Failure) {
            let answer = try await services.register(service, id, body)
            instance = answer.instance
            try? global.write { () throws(UnsupportedFormat) in
                try ServiceOutput.registered(answer.instance, json: answer.json, format)
            }
        } catch {
            throw CommandFailure(error)
        }
        guard !once, !isChecked, let lease = instance.leaseID else { return }
        let client = try global.client()
        let keeper = LeaseKeeper(client, lease)
        let signal = await interruption.race {
            while (try? await keeper.next()) ?? nil != nil {}
        }
        keeper.end()
        await client.shutdown()
        guard signal != nil else {
            throw CommandFailure(
                message: "\(service)/\(id) is registered no more: its lease ran out, or somebody deregistered it",
                exitCode: CommandFailure.interruptedCode)
        }
        do throws(ServiceClient.Failure) {
            _ = try await services.deregister(service, id)
        } catch {
            // Gone already, which was wanted.
            if error.status != 404 { throw CommandFailure(error) }
        }
    }
}

struct ServiceDeregisterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deregister", abstract: "Takes an instance of a service back.",
        usage: "martlet service deregister <service> <id> [options]",
        discussion: """
            Example:
              martlet service deregister web web-1
            """)

    @Argument(help: ArgumentHelp("The service and the instance's id.", valueName: "service and id"))
    var arguments: [String] = []
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        guard arguments.count == 2 else {
            throw CommandFailure.badArguments(
                "service deregister needs the name of a service and the id of an instance")
        }
        let format = try global.format(noneOf: [.table, .protobuf])
        let services = try await global.services()
        do throws(ServiceClient.Failure) {
            let json = try await services.deregister(arguments[0], arguments[1])
            try? global.write { () throws(UnsupportedFormat) in
                try ServiceOutput.deregistered(arguments[0], arguments[1], json: json, format)
            }
        } catch {
            throw CommandFailure(error)
        }
    }
}
