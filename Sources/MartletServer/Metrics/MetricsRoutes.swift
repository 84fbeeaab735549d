import HTTP2
import NIOCore

/// `/metrics`.
struct MetricsRoutes: Sendable {
    let registry: MetricsRegistry

    func register(in router: inout PlainRouter) {
        router.on(["GET", "HEAD"], "/metrics") { [registry] _, eventLoop, respond in
            registry.render(on: eventLoop).whenComplete { result in
                switch result {
                case .success(let text):
                    respond(PlainResponse(status: 200, contentType: PrometheusText.contentType, body: text))
                case .failure(let error): respond(.text(500, "the metrics cannot be told: \(error)"))
                }
            }
        }
    }
}
