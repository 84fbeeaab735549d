import MartletServer

/// The one place where the program hands over to the server; returns when the server has ended.
func serve(_ configuration: ServerConfiguration) async throws {
    do {
        try Server.run(configuration)
    } catch let error as ConfigurationError {
        throw CommandFailure.failed(error.message)
    }
}
