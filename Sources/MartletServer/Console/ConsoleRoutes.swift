import Foundation
import NIOCore
import Replica

/// `/console`: a page for a browser, its files, and `/console/data`, which it asks every second. What it shows and
/// changes of keys and leases goes through the gateway, as any client's requests do.
struct ConsoleRoutes: Sendable {
    /// The members as they are known now.
    let members: @Sendable () -> [Member]
    let data: @Sendable (any EventLoop) -> EventLoopFuture<ConsoleData>

    func register(in router: inout PlainRouter) {
        // What the page names is relative to its own path, so that it works behind a proxy that adds one.
        router.on(["GET", "HEAD"], "/console") { _, _, respond in
            respond(
                PlainResponse(
                    status: 302, contentType: "text/plain; charset=utf-8", body: "/console/\n",
                    fields: [("location", "console/")]))
        }
        for file in ConsoleFiles.all {
            let found = Self.answer(file)
            router.on(["GET", "HEAD"], "/console/" + file.path) { [members] request, _, respond in
                var response = found
                // What is shown may ask the other members.
                let policy = file.path.isEmpty ? Self.policy(for: members()) : Self.nothing
                response.fields.append(("content-security-policy", policy))
                if request.field("if-none-match").map({ $0.contains(file.tag) }) == true {
                    response.status = 304
                    response.body = ByteBuffer()
                }
                respond(response)
            }
        }
        router.on(["GET", "HEAD"], "/console/data") { [data] _, eventLoop, respond in
            data(eventLoop).whenComplete { result in
                do {
                    let encoder = JSONEncoder()
                    encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
                    let body = ByteBuffer(bytes: try encoder.encode(try result.get()))
                    respond(
                        PlainResponse(
                            status: 200, contentType: "application/json", body: body,
                            fields: [("cache-control", "no-store"), ("x-content-type-options", "nosniff")]))
                } catch {
                    respond(.text(500, "what this member knows cannot be told: \(error)"))
                }
            }
        }
    }

    private static func answer(_ file: ConsoleFile) -> PlainResponse {
        PlainResponse(
            status: 200, contentType: file.contentType, body: file.text,
            fields: [
                // To be asked for again each time, and then not sent again: after an update nothing is stale.
                ("cache-control", "no-cache"), ("etag", file.tag), ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer"),
                ("cross-origin-opener-policy", "same-origin"),
            ])
    }

    private static let nothing = "default-src 'none'; frame-ancestors 'none'"

    /// Scripts, styles and pictures come from this member and nowhere else, no text ever becomes markup (trusted
    /// types), and nobody is spoken to but the members: keys and values are anybody's.
    static func policy(for members: [Member]) -> String {
        let origins = members.flatMap(\.clientURLs).compactMap(origin)
        return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "
            + (["'self'"] + origins).joined(separator: " ")
            + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            + "require-trusted-types-for 'script'; trusted-types 'none'"
    }

    /// A client URL as a source of the policy; nil where it is none that a policy can name. It is what some member says
    /// of itself, and must not say anything else here.
    private static func origin(_ text: String) -> String? {
        let parts = text.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, ["http", "https"].contains(parts[0].lowercased()), parts[1].hasPrefix("//") else {
            return nil
        }
        let host = parts[1].dropFirst(2).prefix { $0 != "/" }
        let isPlain = host.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: ":"):
                true
            default: false
            }
        }
        return isPlain && !host.isEmpty ? "\(parts[0].lowercased())://\(host)" : nil
    }
}
