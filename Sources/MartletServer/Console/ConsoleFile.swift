import Digests

/// One of the console's files. They lie in `Console/Pages` as they are edited; `scripts/embed-console` copies them into
/// the code, where the server has them without a file of its own to find (decision 0024).
struct ConsoleFile: Sendable {
    /// Below /console/; empty for the page itself.
    let path: String
    let contentType: String
    let text: String
    /// With its quotes.
    let tag: String

    init(_ name: String, _ text: String) {
        path = name == "index.html" ? "" : name
        self.text = text
        contentType =
            switch name.split(separator: ".").last {
            case "html": "text/html; charset=utf-8"
            case "css": "text/css; charset=utf-8"
            case "js": "text/javascript; charset=utf-8"
            case "svg": "image/svg+xml"
            default: "application/octet-stream"
            }
        tag = "\"" + SHA256.hash(Array(text.utf8)).prefix(12).map { String($0, radix: 16) }.joined() + "\""
    }
}

/// All of the console's files: ``ConsoleFiles/all``, which is generated.
enum ConsoleFiles {}
