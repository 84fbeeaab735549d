import Foundation
import NIOCore
import NIOEmbedded
import RaftCore
import Replica
import Testing

@testable import MartletServer

@Suite struct ConsoleRoutesTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../..").standardized

    private struct Unknown: Error {}

    private func member(_ clientURLs: [String]) -> Member {
        Member(id: NodeID(1), name: "m1", peerURLs: ["http://10.0.0.1:2380"], clientURLs: clientURLs)
    }

    private func router(_ members: [Member] = [], data: ConsoleData? = nil) -> PlainRouter {
        var router = PlainRouter(access: AccessRules())
        ConsoleRoutes(
            members: { members },
            data: { eventLoop in
                if let data { eventLoop.makeSucceededFuture(data) } else { eventLoop.makeFailedFuture(Unknown()) }
            }
        ).register(in: &router)
        return router
    }

    private func answer(
        _ router: PlainRouter, _ method: String, _ target: String, _ fields: [(name: String, value: String)] = []
    ) throws -> PlainResponse {
        nonisolated(unsafe) var answer: PlainResponse?
        router.handle(PlainRequest(method: method, target: target, fields: fields), on: EmbeddedEventLoop()) {
            answer = $0
        }
        return try #require(answer)
    }

    private func field(_ response: PlainResponse, _ name: String) -> String? {
        response.fields.first { $0.name == name }?.value
    }

    // MARK: Answers

    @Test func `the page and its files have types, tags and nothing that lets others in`() throws {
        let router = router()
        for (path, type) in [
            ("/console/", "text/html; charset=utf-8"), ("/console/console.css", "text/css; charset=utf-8"),
            ("/console/console.js", "text/javascript; charset=utf-8"), ("/console/martlet.svg", "image/svg+xml"),
        ] {
            for method in ["GET", "HEAD"] {
                let response = try answer(router, method, path)
                #expect(response.status == 200)
                #expect(field(response, "content-type") == type)
                #expect(field(response, "x-content-type-options") == "nosniff")
                #expect(field(response, "x-frame-options") == "DENY")
                #expect(field(response, "cache-control") == "no-cache")
                #expect(field(response, "content-security-policy")?.hasPrefix("default-src 'none'; ") == true)
            }
        }
        #expect(try String(buffer: answer(router, "GET", "/console/?x=1").body).hasPrefix("<!doctype html>"))
    }

    @Test func `what a browser has already is not sent again`() throws {
        let router = router()
        let tag = try #require(field(try answer(router, "GET", "/console/console.js"), "etag"))
        #expect(tag.hasPrefix("\"") && tag.hasSuffix("\"") && tag.count > 12)
        #expect(Set(ConsoleFiles.all.map(\.tag)).count == ConsoleFiles.all.count)
        let again = try answer(router, "GET", "/console/console.js", [("If-None-Match", "W/\"x\", \(tag)")])
        #expect(again.status == 304)
        #expect(again.body.readableBytes == 0)
        #expect(field(again, "etag") == tag)
        #expect(try answer(router, "GET", "/console/console.js", [("If-None-Match", "\"other\"")]).status == 200)
    }

    @Test func `other paths and methods are told apart`() throws {
        let router = router()
        let moved = try answer(router, "GET", "/console")
        #expect(moved.status == 302)
        // Relative: a proxy may have put a path of its own before it.
        #expect(field(moved, "location") == "console/")
        for path in ["/console/nothing.js", "/console/../console.js", "/console/console.js/", "/console.js"] {
            #expect(try answer(router, "GET", path).status == 404)
        }
        for path in ["/console", "/console/", "/console/console.js", "/console/data"] {
            let refused = try answer(router, "POST", path)
            #expect(refused.status == 405)
            #expect(field(refused, "allow") == "GET, HEAD")
        }
    }

    @Test func `the page may ask the members, and nobody else`() throws {
        let hostile = [
            "http://a.b:1; script-src *", "http://x 'unsafe-inline'", "javascript:alert(1)", "http://", "http://*",
            "http://[::1]:2379", "a.b:2379", "http://é.example:1",
        ]
        let router = router([member(["http://10.0.0.1:2379", "https://m2.example:2379/"]), member(hostile)])
        let policy = try #require(field(try answer(router, "GET", "/console/"), "content-security-policy"))
        let directives = policy.split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces) }
        #expect(directives.contains("connect-src 'self' http://10.0.0.1:2379 https://m2.example:2379"))
        #expect(directives.contains("script-src 'self'"))
        #expect(directives.contains("require-trusted-types-for 'script'"))
        #expect(directives.count == 10)
    }

    @Test func `figures are JSON that no cache keeps, or a sentence`() throws {
        let data = ConsoleData(
            atNanoseconds: 5, clusterID: "ab", hasGateway: true, hasServices: false,
            own: .init(
                id: "1", role: "leader", term: 2, leader: "1", commit: 9, applied: 8, lastIndex: 9, revision: 7,
                compactRevision: -1, leaderChanges: 1, pending: 0, failure: nil, version: "0.1.0",
                etcdVersion: "3.6.14", uptimeSeconds: 1.5),
            disk: .init(sizeBytes: 1, inUseBytes: 1, quotaBytes: nil, freeBytes: nil),
            process: .init(residentBytes: 1, cpuSeconds: 0.5, threads: 3),
            traffic: .init(
                calls: ["put": .init(ended: 3, failed: 1)], receivedBytes: 1, sentBytes: 2, connections: 1, watchers: 0,
                watchMessages: 0),
            times: .init(writes: [0, 1], reads: [0], syncCount: 1, syncNanoseconds: 2, lastSyncNanoseconds: 2),
            members: [
                .init(
                    id: "1", name: "</script>", peerURLs: [], clientURLs: ["http://a:1"], isLearner: false, link: nil,
                    log: .init(match: 9, lag: 0, state: "replicate", isActive: true))
            ], alarms: [.init(member: "1", kind: "NOSPACE")])
        let response = try answer(router(data: data), "GET", "/console/data")
        #expect(response.status == 200)
        #expect(field(response, "content-type") == "application/json")
        #expect(field(response, "cache-control") == "no-store")
        #expect(field(response, "access-control-allow-origin") == "*")
        #expect(try JSONDecoder().decode(ConsoleData.self, from: Data(response.body.readableBytesView)) == data)
        let failed = try answer(router(), "GET", "/console/data")
        #expect(failed.status == 500)
        #expect(String(buffer: failed.body).hasPrefix("what this member knows cannot be told: "))
    }

    // MARK: The files

    @Test func `the files in the code are the ones in the folder`() throws {
        let folder = Self.root.appendingPathComponent("Sources/MartletServer/Console/Pages")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(names == ConsoleFiles.all.map { $0.path.isEmpty ? "index.html" : $0.path }.sorted())
        for (name, file) in zip(names, ConsoleFiles.all) {
            let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
            #expect(text == file.text, "scripts/embed-console has not been run since \(name) was changed")
        }
    }

    @Test func `the files ask nobody, make no markup of text, and name only each other`() throws {
        for file in ConsoleFiles.all {
            let text = file.text.replacing("http://www.w3.org/2000/svg", with: "")
            for word in [
                "http://", "https://", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                "new Function", "onclick=\"", "style=\"", "<style", "localStorage",
            ] {
                #expect(!text.contains(word), "\(file.path) has \(word)")
            }
            for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                #expect(line.count <= 120, "\(file.path):\(number + 1) has \(line.count) columns")
            }
            for line in text.split(separator: "\n") where line.hasPrefix("import ") {
                let name = line.split(separator: "\"").dropLast().last.map { $0.dropFirst(2) } ?? ""
                #expect(ConsoleFiles.all.contains { $0.path == name }, "\(file.path): \(line)")
            }
        }
        let bytes = ConsoleFiles.all.reduce(0) { $0 + $1.text.utf8.count }
        #expect(bytes < 100_000, "the console has grown to \(bytes) bytes")
    }

    @Test func `--enable-console=false is read`() throws {
        let parser = ConfigurationParser(environment: [:]) { (_) throws(ConfigurationError) in "" }
        func isEnabled(_ arguments: [String]) throws -> Bool? {
            guard case .run(let configuration) = try parser.parse(arguments) else { return nil }
            return configuration.enableConsole
        }
        #expect(try isEnabled([]) == true)
        #expect(try isEnabled(["--enable-console=false"]) == false)
    }
}
