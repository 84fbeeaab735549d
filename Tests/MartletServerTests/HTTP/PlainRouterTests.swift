import NIOCore
import NIOEmbedded
import Testing

@testable import MartletServer

@Suite struct PlainRouterTests {
    func router(_ access: AccessRules? = AccessRules()) -> PlainRouter {
        var router = PlainRouter(access: access)
        router.on(["GET"], "/health") { _, _, respond in respond(.text(200, "fine")) }
        router.onPost("/v3/kv/put", otherMethod: Gateway.wrongMethod) { _, _, respond in respond(.text(200, "put")) }
        return router
    }

    func status(_ router: PlainRouter, _ method: String, _ target: String, _ host: String = "x") -> Int? {
        let request = PlainRequest(method: method, target: target, fields: [("Host", host)])
        guard case .answer(let response) = router.match(request) else { return nil }
        return response.status
    }

    @Test func `paths and methods are told apart (W1, W12)`() {
        let router = router()
        #expect(status(router, "GET", "/health?x=1") == nil)
        #expect(status(router, "GET", "http://a.b/health") == nil)
        #expect(status(router, "POST", "/health") == 405)
        #expect(status(router, "HEAD", "/health") == 405)
        #expect(status(router, "POST", "/v3/kv/put") == nil)
        #expect(status(router, "POST", "/v3beta/kv/put") == nil)
        #expect(status(router, "PUT", "/v3/kv/put") == 501)
        #expect(status(router, "POST", "/v3alpha/kv/put") == 404)
        #expect(status(router, "OPTIONS", "/anything") == 200)
        #expect(status(self.router(nil), "OPTIONS", "/health") == 405)
    }

    @Test func `the longest prefix answers for what has no route of its own`() {
        func handler(_ text: String) -> PlainRouter.Handler { { _, _, respond in respond(.text(200, text)) } }
        var router = router()
        router.on(["GET", "PUT"], below: "/key/", handler("key"))
        router.on(["GET"], below: "/key/of/", handler("below"))
        router.on(["GET"], "/key/of/all", handler("all"))
        func answer(_ method: String, _ target: String) -> String? {
            let request = PlainRequest(method: method, target: target)
            nonisolated(unsafe) var answer: String?
            router.handle(request, on: EmbeddedEventLoop()) { answer = "\($0.status) \(String(buffer: $0.body))" }
            return answer?.split(separator: "\n").first.map(String.init)
        }
        #expect(answer("PUT", "/key/a/b?x=1") == "200 key")
        #expect(answer("GET", "/key/of/b") == "200 below")
        #expect(answer("GET", "/key/of/all") == "200 all")
        #expect(answer("PUT", "/key/of/b") == "405 Method Not Allowed")
        #expect(answer("GET", "/key")?.hasPrefix("404") == true)
        #expect(answer("GET", "/keys/a")?.hasPrefix("404") == true)
    }

    @Test func `a route is answered in a stream where that is asked for`() {
        final class Nobody: PlainStreamReceiver {
            func onBody(_ part: ByteBuffer) {}
            func onBodyEnd() {}
            func onWritable() {}
            func onCancel() {}
        }
        var router = router()
        let streams = PlainRouter.Streams(isAsked: \.wantsEvents) { _, _ in Nobody() }
        router.on(["GET", "PUT"], "/one", streams: streams) { _, _, respond in respond(.text(200, "one")) }
        router.on(["GET", "PUT"], below: "/all/", streams: streams) { _, _, respond in respond(.text(200, "all")) }
        func isStream(_ method: String, _ target: String, accept: String) -> Bool {
            let request = PlainRequest(method: method, target: target, fields: [("Accept", accept)])
            if case .stream = router.match(request) { return true }
            return false
        }
        for target in ["/one", "/all/x"] {
            #expect(isStream("GET", target, accept: "text/event-stream"))
            #expect(isStream("GET", target, accept: "application/json, Text/Event-Stream;q=0.9"))
            #expect(!isStream("GET", target, accept: "text/event-stream;q=0"))
            #expect(!isStream("GET", target, accept: "*/*"))
            #expect(!isStream("PUT", target, accept: "text/event-stream"))
        }
        #expect(!isStream("DELETE", "/one", accept: "text/event-stream"))
    }

    @Test func `only named hosts are answered (CVE-2018-5702)`() {
        let router = router(AccessRules(hosts: .only(["good.example", "::1"])))
        #expect(status(router, "GET", "/health", "good.example:2379") == nil)
        #expect(status(router, "GET", "/health", "[::1]:2379") == nil)
        #expect(status(router, "GET", "/health", "evil.example") == 421)
        #expect(status(router, "OPTIONS", "/health", "evil.example") == 421)
        let overHTTP2 = PlainRequest(method: "GET", target: "/health", fields: [(":authority", "good.example")])
        guard case .whole = router.match(overHTTP2) else {
            Issue.record("refused")
            return
        }
    }

    @Test func `only named origins are told that they may ask`() {
        func origin(_ rules: AccessRules, _ asked: String?) -> String? {
            let fields: [(name: String, value: String)] = asked.map { [("Origin", $0)] } ?? []
            let request = PlainRequest(method: "GET", target: "/", fields: fields)
            return rules.fields(for: request).first { $0.name == "access-control-allow-origin" }?.value
        }
        #expect(origin(AccessRules(), nil) == "*")
        let named = AccessRules(origins: .only(["http://a.b"]))
        #expect(origin(named, "http://a.b") == "http://a.b")
        #expect(origin(named, "http://c.d") == nil)
        #expect(origin(named, nil) == nil)
    }

    @Test func `items of a query are decoded`() {
        let request = PlainRequest(method: "GET", target: "/x?exclude=NOSPACE&verbose&exclude=a%2Bb+c&e=%4&=")
        #expect(request.queryValues("exclude") == ["NOSPACE", "a+b c"])
        #expect(request.queryValues("verbose") == [""])
        #expect(request.queryValues("e") == ["%4"])
        #expect(request.queryValues("none") == [])
    }

    @Test func `--cors and --host-whitelist are read`() throws {
        #expect(try FlagText.origins("*") == .everything)
        #expect(try FlagText.origins("http://a.b:80, https://c.d") == .only(["http://a.b:80", "https://c.d"]))
        for text in ["a.b", "http://", "http://a.b/c", "ftp://a", "http://a\u{e4}"] {
            #expect(throws: ConfigurationError.self) { try FlagText.origins(text) }
        }
        #expect(FlagText.names("a,b") == .only(["a", "b"]))
        #expect(FlagText.names("a,*") == .everything)
    }
}
