import NIOCore
import Synchronization

/// All metrics of a server. Families register before the first scrape or later; each name once.
final class MetricsRegistry: Sendable {
    /// Families that are made for each scrape by someone who has to be asked and waited for.
    typealias Source = @Sendable (any EventLoop) -> EventLoopFuture<[MetricFamily]>

    private struct State {
        var families: [String: MetricFamily] = [:]
        var sources: [Source] = []
    }
    private let state = Mutex(State())

    func register(_ family: MetricFamily) {
        state.withLock { state in
            precondition(state.families[family.name] == nil, "two metrics named \(family.name)")
            state.families[family.name] = family
        }
    }

    func register(_ families: [MetricFamily]) { for family in families { register(family) } }

    func register(source: @escaping Source) { state.withLock { $0.sources.append(source) } }

    /// The text of a scrape.
    func render(on eventLoop: any EventLoop) -> EventLoopFuture<ByteBuffer> {
        let (own, sources) = state.withLock { (Array($0.families.values), $0.sources) }
        return EventLoopFuture.whenAllSucceed(sources.map { $0(eventLoop) }, on: eventLoop).map { others in
            PrometheusText.render((own + others.joined()).sorted { $0.name < $1.name })
        }
    }
}
