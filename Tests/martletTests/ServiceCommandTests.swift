import ArgumentParser
import Foundation
import Testing

@testable import martlet

struct ServiceCommandTests {
    private func request(_ arguments: String...) throws -> (
        service: String, id: String, body: [UInt8], isChecked: Bool
    ) {
        let command = try Martlet.parseAsRoot(
            ArgumentNormalization.normalize(["service", "register"] + arguments))
        return try #require(command as? ServiceRegisterCommand).request()
    }

    private func body(_ arguments: String...) throws -> String {
        let command = try Martlet.parseAsRoot(
            ArgumentNormalization.normalize(["service", "register", "web", "a"] + arguments))
        return String(
            decoding: try #require(command as? ServiceRegisterCommand).request().body, as: UTF8.self)
    }

    @Test func `a registration is what its flags say`() throws {
        #expect(
            try body(
                "--address", "10.0.0.1", "--port", "80", "--tag", "x", "--tag", "y", "--meta", "a=b=c", "--ttl", "1m")
                == #"{"address":"10.0.0.1","meta":{"a":"b=c"},"port":80,"tags":["x","y"],"ttl":"1m"}"#)
        #expect(
            try body("--address", "h", "--port", "80", "--check-http", "/up", "--check-failures", "2")
                == #"{"address":"h","check":{"failures":2,"path":"/up","type":"http"},"meta":{},"port":80,"tags":[]}"#)
        #expect(try request("web", "--address", "10.0.0.1", "--port", "80", "--check-tcp").isChecked)
    }

    @Test(arguments: [
        ("10.0.0.1", "10-0-0-1-80"), ("2001:db8::1", "2001-db8--1-80"), ("DB.example.com", "db-example-com-80"),
        ("::1", "1-80"),
    ])
    func `an id that is not given is made of address and port`(address: String, id: String) throws {
        #expect(try request("web", "--address", address, "--port", "80").id == id)
    }

    @Test(arguments: [
        [], ["web"], ["web", "--address", "10.0.0.1"], ["web", "a", "b", "--address", "10.0.0.1", "--port", "80"],
        ["web", "--address", "h", "--port", "80", "--check-tcp", "--check-http", "/"],
        ["web", "--address", "h", "--port", "80", "--check-timeout", "1s"],
        ["web", "--address", "h", "--port", "80", "--check-tcp", "--ttl", "5s"],
        ["web", "--address", "h", "--port", "80", "--meta", "nothing"],
    ])
    func `what contradicts itself is refused before anything is asked`(arguments: [String]) throws {
        let command = try #require(
            try Martlet.parseAsRoot(ArgumentNormalization.normalize(["service", "register"] + arguments))
                as? ServiceRegisterCommand)
        #expect(throws: CommandFailure.self) { try command.request() }
    }
}
